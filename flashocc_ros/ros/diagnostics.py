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

"""Health of the node as ``diagnostic_msgs/DiagnosticArray``: levels for people, stable keys for programs."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from flashocc_ros.errors import shortened
from flashocc_ros.ros.faults import Fault

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

COUNTERS = {
    "sets_received": "complete sets handed out by the synchroniser",
    "sets_published": "sets whose result was published",
    "sets_skipped": "complete sets replaced by a newer one before inference began",
    "sets_dropped": "sets given up, the sum of the next ones",
    "sets_dropped_incomplete": "an image was missing when the time was up",
    "sets_dropped_transform": "extrinsics or ego motion did not come in time",
    "sets_dropped_camera_info": "no CameraInfo of a camera came in time",
    "sets_dropped_image": "an image could not be decoded",
    "sets_dropped_calibration": "K, extrinsics or image size cannot be used",
    "sets_dropped_inference": "the engine failed",
    "sets_dropped_publish": "the result could not be published",
    "sets_dropped_reset": "was waiting when the past was forgotten or the node deactivated",
    "images_rejected": "images with a stamp of zero or of a second publisher",
    "resets_service": "calls of ~/reset",
    "resets_clock": "jumps of the ROS clock back in time",
    "resets_stamps": "image stamps that went back: a bag loop",
}
"""Counters since start, always present in the status ``<node>: pipeline``."""

TIMES = {
    "latency": "image stamp to publication, ROS clock",
    "processing": "last image of the set to publication",
    "sync_spread": "first to last stamp of a set",
    "stage_images": "decode and rectify all images",
    "stage_preprocess": "images to network input",
    "stage_encoder": "image encoder",
    "stage_pooling": "lift to the BEV grid",
    "stage_head": "BEV encoder and heads",
    "stage_decode": "labels and instances",
    "stage_publish": "build and publish the messages",
    "stage_total": "all stages",
}
"""Times of the latest sets: ``<key>_ms_p50``, ``<key>_ms_p95``, ``<key>_ms_max``, present once there is a value."""

NETWORK = {
    "network": "one line on variant, engine and weights",
    "variant": "its name",
    "engine": "name of the engine",
    "runs_on": "one line on the engine: version, device, precision",
    "trained": "`true`, or `false` with untrained weights",
    "trained_on": "`synthetic` with the shipped weights, which know no real pictures; else empty",
}
"""What the pipeline's status tells of the network; empty before it is loaded."""


IMAGES = {
    "received": "images, the sum of the next six",
    "used": "are part of a set that was handed out",
    "late": "came after their set was finished",
    "dropped": "never found a complete set, or were crowded out",
    "duplicate": "repeat the stamp of an earlier one",
    "rejected": "have a stamp of zero",
    "waiting": "wait for their set",
    "corrupt": "of those used, could not be decoded and cost their set",
}
"""Counters since start in the status ``<node>: camera <name>``."""


@dataclass(frozen=True)
class CameraHealth:
    """What came from one camera.

    Attributes:
        age_s: since its latest image, None before the first.
        images: counters by the keys of ``IMAGES`` but ``corrupt``.
        has_info: its CameraInfo has come.
        fault: what makes its images useless.
    """

    name: str
    age_s: float | None
    images: Mapping[str, int]
    corrupt: int
    has_info: bool
    fault: Fault | None


@dataclass(frozen=True)
class Health:
    """A snapshot of the node.

    Attributes:
        state: lifecycle state.
        problem: what failed and has not succeeded since, empty for nothing.
        network: what runs, by the keys of ``NETWORK``; empty before it is loaded.
        sync: one line on the synchroniser.
        rig: what is implausible about the cameras as they are mounted, empty otherwise.
        masked: cameras that the latest result does without.
        clock: what is wrong with the time of the stamps, empty for nothing.
        last_drop: why the latest set was given up, empty once a later one was published.
        idle_s: time since the last result, or since activation before the first.
        subscribers: matched subscriptions by result topic; without one a result is not computed.
    """

    state: str
    problem: str
    network: Mapping[str, str]
    sync: str
    rig: str
    masked: Sequence[str]
    clock: str
    last_drop: str
    idle_s: float | None
    counters: Mapping[str, int]
    times_ms: Mapping[str, float]
    subscribers: Mapping[str, int]
    cameras: Sequence[CameraHealth]


def to_diagnostics(node_name: str, health: Health, header: Header, warn_s: float, error_s: float) -> DiagnosticArray:
    """One status for the pipeline and one per camera."""
    pipeline = DiagnosticStatus(name=f"{node_name}: pipeline", hardware_id=node_name)
    pipeline.level, message = _pipeline_level(health, warn_s, error_s)
    pipeline.message = shortened(message)
    pipeline.values = _values(
        {"state": health.state}
        | dict.fromkeys(NETWORK, "")
        | dict(health.network)
        | {"sync": health.sync, "rig": health.rig, "masked": ", ".join(health.masked), "clock": health.clock}
        | dict.fromkeys(COUNTERS, 0)
        | dict(health.counters)
        | dict(health.times_ms)
        | {f"subscribers_{topic}": count for topic, count in health.subscribers.items()}
        | {"memory_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    )
    cameras = [_camera_status(node_name, camera, warn_s, error_s) for camera in health.cameras]
    return DiagnosticArray(header=header, status=[pipeline, *cameras])


def _pipeline_level(health: Health, warn_s: float, error_s: float) -> tuple[bytes, str]:
    if health.problem:
        return ERROR, health.problem
    if health.state != "active" or health.idle_s is None:
        return OK, health.state
    level = _age_level(health.idle_s, warn_s, error_s)
    if level == OK:
        doubts = [
            f"without {', '.join(health.masked)}" if health.masked else "",
            f"the rig is implausible: {health.rig}" if health.rig else "",
            health.clock,
        ]
        doubt = "; ".join(filter(None, doubts))
        return (WARN, f"publishing, but {doubt}") if doubt else (OK, "publishing")
    return level, no_result(health, warn_s)


def no_result(health: Health, warn_s: float) -> str:
    """How long there has been none, and why."""
    return f"no result for {health.idle_s or 0.0:.1f} s: {_cause(health, warn_s)}"


def _cause(health: Health, warn_s: float) -> str:
    silent = [camera.name for camera in health.cameras if camera.age_s is None or camera.age_s >= warn_s]
    if silent:
        return f"no images from {', '.join(silent)}"
    if health.last_drop:
        return f"sets are dropped: {health.last_drop}"
    if sets_in_work(health.counters) > 0:
        return "a set is in work"
    missing = [camera.name for camera in health.cameras if not camera.has_info]
    faults = [f"camera {camera.name}: {camera.fault.sentence}" for camera in health.cameras if camera.fault]
    causes = [f"no CameraInfo of {', '.join(missing)}" if missing else "", *faults, health.sync]
    found = "; ".join(filter(None, causes))
    return f"images arrive, but no set is complete (see the sets_dropped_* counters): {found}"


def sets_in_work(counters: Mapping[str, int]) -> int:
    """Sets received and neither published, skipped nor dropped yet; an incomplete one was never received."""
    received, published, skipped, dropped, incomplete = (
        counters.get(f"sets_{key}", 0) for key in ("received", "published", "skipped", "dropped", "dropped_incomplete")
    )
    return received - published - skipped - (dropped - incomplete)


def _camera_status(node_name: str, camera: CameraHealth, warn_s: float, error_s: float) -> DiagnosticStatus:
    status = DiagnosticStatus(name=f"{node_name}: camera {camera.name}", hardware_id=camera.name)
    status.level = _age_level(camera.age_s, warn_s, error_s)
    if camera.age_s is None:
        status.message = "no image yet; check the topic and its QoS"
    elif status.level != OK:
        status.message = f"no image for {camera.age_s:.1f} s"
    elif camera.fault is not None:
        status.level = ERROR if camera.fault.lasts_s >= error_s else WARN
        status.message = f"images arrive but are useless: {camera.fault.sentence}"
    elif not camera.has_info:
        status.level, status.message = WARN, "images but no CameraInfo"
    else:
        status.message = "fresh"
    status.message = shortened(status.message)
    status.values = _values(
        {"age_s": "" if camera.age_s is None else camera.age_s}
        | dict.fromkeys(IMAGES, 0)
        | dict(camera.images)
        | {"corrupt": camera.corrupt}
    )
    return status


def _age_level(age_s: float | None, warn_s: float, error_s: float) -> bytes:
    if age_s is None or age_s >= error_s:
        return ERROR
    return WARN if age_s >= warn_s else OK


def _values(values: Mapping[str, str | float]) -> list[KeyValue]:
    return [KeyValue(key=k, value=f"{v:.3f}" if isinstance(v, float) else str(v)) for k, v in values.items()]
