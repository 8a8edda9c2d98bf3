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

"""The selectable message_filters policy, with the real message_filters where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("message_filters")
from sensor_msgs.msg import Image

from flashocc_ros.cameras.sync import CameraCounters
from flashocc_ros.msg import Occupancy3D
from flashocc_ros.ros.approximate import ApproximateSynchronizer
from flashocc_ros.ros.stamps import make_header

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def synchronizer() -> ApproximateSynchronizer[Image]:
    return ApproximateSynchronizer(["a", "b"], "b", slop_s=0.02, queue_size=10, max_backward_s=1.0)


def add(synchronizer: ApproximateSynchronizer[Image], camera: str, stamp_ns: int) -> list:
    return synchronizer.add(camera, stamp_ns, Image(header=make_header("", stamp_ns)), 0)


def test_images_within_the_slop_become_a_set_with_the_anchor_stamp(synchronizer: ApproximateSynchronizer[Image]):
    assert add(synchronizer, "a", START_NS) == []
    (images,) = add(synchronizer, "b", START_NS + 10 * MS)
    assert images.key_stamp_ns == START_NS + 10 * MS
    assert images.stamps_ns == (START_NS, START_NS + 10 * MS)
    assert synchronizer.sets.complete == 1
    assert synchronizer.counters["a"].used == 1


def test_images_beyond_the_slop_do_not(synchronizer: ApproximateSynchronizer[Image]):
    add(synchronizer, "a", START_NS)
    assert add(synchronizer, "b", START_NS + 30 * MS) == []


def test_stamps_that_go_back_start_over(synchronizer: ApproximateSynchronizer[Image]):
    add(synchronizer, "a", START_NS + 5_000 * MS)
    add(synchronizer, "a", START_NS)
    assert synchronizer.epoch == 1
    (images,) = add(synchronizer, "b", START_NS)
    assert images.stamps_ns == (START_NS, START_NS)


def test_a_stamp_of_zero_is_rejected(synchronizer: ApproximateSynchronizer[Image]):
    assert add(synchronizer, "a", 0) == []
    assert synchronizer.counters["a"].rejected == 1


def balance(counted: CameraCounters, waiting: int) -> int:
    return counted.used + counted.late + counted.dropped + counted.duplicate + counted.rejected + waiting


@pytest.mark.parametrize("seed", range(5))
def test_every_image_is_counted_once(seed: int):
    """Loss, repeats, stamps of zero, disorder and two starts over, more than the queue holds."""
    rng, names = np.random.default_rng(seed), ["a", "b", "c"]
    sync: ApproximateSynchronizer[Image] = ApproximateSynchronizer(
        names, "b", slop_s=0.03, queue_size=5, max_backward_s=1.0
    )
    messages = []
    for trigger in range(120):
        for index, name in enumerate(names):
            stamp_ns = START_NS + trigger % 50 * 100 * MS + index * 8 * MS
            repeats = 0 if rng.random() < 0.1 else 2 if rng.random() < 0.1 else 1
            messages += [(trigger + rng.uniform(0, 2), name, 0 if rng.random() < 0.03 else stamp_ns)] * repeats
    sets = 0
    for _, name, stamp_ns in sorted(messages):
        sets += len(add(sync, name, stamp_ns))
        for camera, counted in sync.counters.items():
            assert counted.received == balance(counted, sync.waiting(camera))
            assert min(counted.dropped, counted.late) >= 0
    total = {key: sum(getattr(c, key) for c in sync.counters.values()) for key in ("duplicate", "rejected", "dropped")}
    assert sets == sync.sets.complete > 20
    assert min(total.values()) > 0


def test_the_node_counts_what_message_filters_does(make_feeder: Callable[..., Any], start_node: Callable[..., Any]):
    feeder = make_feeder()
    occupancy = feeder.listen("occupancy", Occupancy3D)
    node = start_node(sync__policy="approximate_time", cameras__reliability="reliable")
    feeder.connect(node)
    for k in range(6):
        before = len(occupancy)
        feeder.send(images={"back": None} if k == 2 else None)
        if k != 2:
            feeder.until(lambda n=before: len(occupancy) > n, "an occupancy")
    feeder.send(feeder.stamp_ns)  # repeats
    feeder.images["front"].publish(feeder.image("front", 0))
    images = node.node._statistics.sync.images
    feeder.until(lambda: images("front")["rejected"] and images("back")["duplicate"], "the counts")
    for camera in feeder.names:
        counted = images(camera)
        assert counted["received"] == sum(count for key, count in counted.items() if key != "received")
    assert images("front")["used"] == len(occupancy) == 5
