"""Health of the node as ``diagnostic_msgs/DiagnosticArray``: levels for people, stable keys for programs."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

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
    "sets_dropped_reset": "was waiting when the past was forgotten",
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
}
"""What the pipeline's status tells of the network; empty before it is loaded."""


@dataclass(frozen=True)
class CameraHealth:
    """What came from one camera; ``age_s`` is None before its first image."""

    name: str
    age_s: float | None
    received: int
    used: int
    late: int
    dropped: int
    rejected: int
    corrupt: int
    has_info: bool


@dataclass(frozen=True)
class Health:
    """A snapshot of the node.

    Attributes:
        state: lifecycle state.
        problem: what failed and has not succeeded since, empty for nothing.
        network: what runs, by the keys of ``NETWORK``; empty before it is loaded.
        sync: one line on the synchroniser.
        rig: what is implausible about the cameras as they are mounted, empty otherwise.
        idle_s: time since the last result, or since activation before the first.
        subscribers: matched subscriptions by result topic; without one a result is not computed.
    """

    state: str
    problem: str
    network: Mapping[str, str]
    sync: str
    rig: str
    idle_s: float | None
    counters: Mapping[str, int]
    times_ms: Mapping[str, float]
    subscribers: Mapping[str, int]
    cameras: Sequence[CameraHealth]


def to_diagnostics(node_name: str, health: Health, header: Header, warn_s: float, error_s: float) -> DiagnosticArray:
    """One status for the pipeline and one per camera."""
    pipeline = DiagnosticStatus(name=f"{node_name}: pipeline", hardware_id=node_name)
    pipeline.level, pipeline.message = _pipeline_level(health, warn_s, error_s)
    pipeline.values = _values(
        {"state": health.state}
        | dict.fromkeys(NETWORK, "")
        | dict(health.network)
        | {"sync": health.sync, "rig": health.rig}
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
        return (WARN, f"publishing, but the rig is implausible: {health.rig}") if health.rig else (OK, "publishing")
    silent = [camera.name for camera in health.cameras if _age_level(camera.age_s, warn_s, error_s) != OK]
    cause = f"no images from {', '.join(silent)}" if silent else "images arrive, see the sets_dropped_* counters"
    return level, f"no result for {health.idle_s:.1f} s: {cause}"


def _camera_status(node_name: str, camera: CameraHealth, warn_s: float, error_s: float) -> DiagnosticStatus:
    status = DiagnosticStatus(name=f"{node_name}: camera {camera.name}", hardware_id=camera.name)
    status.level = _age_level(camera.age_s, warn_s, error_s)
    if camera.age_s is None:
        status.message = "no image yet; check the topic and its QoS"
    elif status.level != OK:
        status.message = f"no image for {camera.age_s:.1f} s"
    elif not camera.has_info:
        status.level, status.message = WARN, "images but no CameraInfo"
    else:
        status.message = "fresh"
    status.values = _values(
        {
            "age_s": "" if camera.age_s is None else camera.age_s,
            "received": camera.received,
            "used": camera.used,
            "late": camera.late,
            "dropped": camera.dropped,
            "rejected": camera.rejected,
            "corrupt": camera.corrupt,
        }
    )
    return status


def _age_level(age_s: float | None, warn_s: float, error_s: float) -> bytes:
    if age_s is None or age_s >= error_s:
        return ERROR
    return WARN if age_s >= warn_s else OK


def _values(values: Mapping[str, str | float]) -> list[KeyValue]:
    return [KeyValue(key=k, value=f"{v:.3f}" if isinstance(v, float) else str(v)) for k, v in values.items()]
