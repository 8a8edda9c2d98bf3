# Copyright 2026 flashocc_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Static transforms for those who come late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flashocc_ros.bags import BagReader
from flashocc_ros.bags.types import TF_TYPE, is_static_tf
from flashocc_ros.errors import BagError
from flashocc_ros.replay.schedule import Outgoing


class StaticTransforms:
    """Sends with each message of ``/tf_static`` all static transforms that were sent before.

    A recording holds messages of several broadcasters; the one publisher in their place hands a late listener its last
    message alone. Holds one transform per child frame, over all rounds of a loop.
    """

    def __init__(self, bag: BagReader) -> None:
        self._bag = bag
        self._sent: dict[str, dict[str, Any]] = {}

    def complete(self, messages: Iterable[Outgoing]) -> Iterator[Outgoing]:
        """The same messages, those of ``/tf_static`` filled up."""
        for message in messages:
            yield self._filled(message) if is_static_tf(message.topic) else message

    def _filled(self, message: Outgoing) -> Outgoing:
        try:
            content = self._bag.deserialize(message.cdr, TF_TYPE)
        except BagError:
            return message  # not ours to judge: whoever listens says what is wrong with it
        sent = self._sent.setdefault(message.topic, {})
        sent.update((transform.child_frame_id, transform) for transform in content.transforms)
        if len(sent) == len(content.transforms):
            return message
        content.transforms = list(sent.values())
        return message._replace(cdr=bytes(self._bag.types.serialize_cdr(content, TF_TYPE)))
