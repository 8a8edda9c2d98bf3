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

"""From a complete camera set to a result: decode, rectify, predict. Runs in the worker thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from flashocc_ros.cameras.decode import SetDecoder, SetDropped, is_rectified_topic
from flashocc_ros.cameras.rectify import check_fisheye
from flashocc_ros.cameras.road import PosedSet
from flashocc_ros.errors import ImageError, InputError
from flashocc_ros.predictor import Predictor
from flashocc_ros.ros.parameters import NodeParameters
from flashocc_ros.structures import Occupancy


class Inference:
    """The network of a configured node with its image decoders.

    Args:
        parameters: of the node.
        say: logs one sentence; called once per finding a user should know.

    Raises:
        FlashOccError: variant, checkpoint or engine cannot be used.

    The engine is fully loaded when this returns: what is wrong with it, an int8 that was never built for one, is said
    when the node is configured and not at its first picture.
    """

    def __init__(self, parameters: NodeParameters, say: Callable[[str], object]) -> None:
        panoptic = parameters.panoptic
        self.names = parameters.cameras.names
        self.predictor = Predictor(
            parameters.variant,
            parameters.checkpoint or None,
            parameters.engine,
            parameters.precision,
            cache_dir=parameters.cache_dir or None,
            memory_interval_s=parameters.memory.interval_s,
            max_gap_s=parameters.memory.max_gap_s,
            max_speed_mps=parameters.memory.max_speed_mps,
            panoptic_reference_mode=panoptic.reference_mode,
            panoptic_max_distance_m=panoptic.max_distance_m.by_class_name(),
            track_max_age_s=panoptic.track_max_age_s,
        )
        try:
            self.predictor.prepare(len(self.names))
        except Exception:
            self.predictor.close()
            raise
        rectified = [parameters.cameras.rectified or is_rectified_topic(parameters.image_topic(n)) for n in self.names]
        self._decode = SetDecoder(
            self.names,
            rectified,
            parameters.cameras.bit_depth,
            keep_jpeg=self.predictor.backend.decodes_jpeg,
            say=say,
            fisheye=check_fisheye(parameters.cameras.fisheye),
        )

    def facts(self) -> dict[str, str]:
        """What runs, by the keys of ``ros.diagnostics.NETWORK``."""
        predictor = self.predictor
        return {
            "network": predictor.description,
            "variant": predictor.variant.name,
            "engine": predictor.backend.name,
            "runs_on": predictor.backend.describe(),
            "trained": str(predictor.trained).lower(),
            "trained_on": predictor.trained_on or "",
        }

    def run(self, posed: PosedSet) -> Occupancy:
        """Result of one set; ``timings`` gains ``images``, and it says which cameras it lacks.

        Raises:
            SetDropped: an image or a calibration cannot be used; nothing is remembered of the set.
            Exception: whatever an engine raises.
        """
        started = time.perf_counter()
        camera_set = self._decode(posed)
        images_ms = (time.perf_counter() - started) * 1e3
        try:
            occupancy = self.predictor.predict(camera_set)
        except ImageError as error:
            raise SetDropped("image", str(error)) from error
        except InputError as error:
            raise SetDropped("calibration", str(error)) from error
        return replace(occupancy, timings=occupancy.timings | {"images": images_ms}, masked_cameras=posed.masked)
