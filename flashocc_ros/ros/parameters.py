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

"""Every parameter of the node: one typed field each, with its default, limits and description.

The same fields declare the ROS parameters (``declare.py``) and fill the table of ``docs/node.md``. Names are the path
of the fields, joined by dots: ``sync.timeout_s``. What no range or choice can say is in ``parameter_checks.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass
from typing import Any, get_args

from flashocc_ros.cameras.rectify import Fisheye
from flashocc_ros.engine_names import AUTO, ENGINES, PRECISIONS
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.ranges import (
    MAX_CAMERAS,
    MEMORY_INTERVAL_S,
    MEMORY_MAX_GAP_S,
    MEMORY_MAX_SPEED_MPS,
    SYNC_MAX_BACKWARD_S,
    SYNC_QUEUE_SIZE,
    SYNC_TIMEOUT_S,
    TF_MAX_WAIT_S,
    TRACK_MAX_AGE_S,
    Range,
)
from flashocc_ros.variants import VARIANTS


@dataclass(frozen=True)
class Limits:
    """What a parameter is for and which values it takes; ``or_file``: beside its choices the path of a variant file."""

    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    read_only: bool = False
    or_file: bool = False


CAMERA_OVERRIDES = {
    "image_topic": "Image topic of this camera; empty: from `cameras.image_topic`.",
    "info_topic": "CameraInfo topic of this camera; empty: from `cameras.info_topic`.",
    "frame": "Optical frame of this camera; empty: `frame_id` of its CameraInfo, else of its images.",
}
"""Parameters `cameras.<name>.<key>`, declared for every name in `cameras.names`; all strings, empty by default."""
DEFAULT_IMAGE_TOPIC = {
    "compressed": "{name}/image_rect_compressed",
    "raw": "{name}/image_rect",
    "compressed_video": "{name}/image_raw/compressed_video",
    "ffmpeg": "{name}/image_raw/ffmpeg",
}
"""By the value of ``cameras.transport``."""


def option(
    default: Any,
    description: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    read_only: bool = False,
    or_file: bool = False,
) -> Any:
    """A dataclass field that is a ROS parameter."""
    limits = Limits(description, choices, minimum, maximum, read_only, or_file)
    return field(default=default, metadata={"limits": limits})


def _ranged(values: Range, description: str) -> Any:
    """What Python users can give too, with the same default and range."""
    return option(values.default, description, minimum=values.minimum, maximum=values.maximum)


def _cost(default: int) -> Any:
    return option(default, "Cost of the class: 0 free, 100 lethal.", minimum=0, maximum=100)


def _distance_m(default: float) -> Any:
    return option(default, "A detected centre claims voxels up to this far [m].", minimum=0.1, maximum=50.0)


@dataclass(frozen=True)
class CameraParameters:
    """The cameras and how their images arrive."""

    names: tuple[str, ...] = option((), f"Names of 1 to {MAX_CAMERAS} cameras, in the order the network sees them.")
    transport: str = option(
        "compressed",
        "Message type of the image topics: CompressedImage, Image, foxglove_msgs/CompressedVideo or FFMPEGPacket.",
        choices=tuple(DEFAULT_IMAGE_TOPIC),
    )
    image_topic: str = option(
        "",
        "Image topic of each camera, with `{name}`; empty: "
        + ", ".join(f"`{topic}`" for topic in DEFAULT_IMAGE_TOPIC.values())
        + " by transport.",
    )
    info_topic: str = option("{name}/camera_info", "CameraInfo topic of each camera, with `{name}`.")
    rectified: bool = option(False, "The images are rectified already, whatever D in CameraInfo says.")
    fisheye: str = option(
        "rectify",
        "Wide lenses (equidistant, rational_polynomial): rays lifts each pixel along its own, rectify straightens "
        "images to pinholes, as shipped networks know them.",
        choices=get_args(Fisheye),
    )
    bit_depth: int = option(
        0, "Bits that the sensor uses of 16 bit images, 8 to 16, e.g. 12; 0: all of them.", minimum=0, maximum=16
    )
    reliability: str = option(
        "best_effort", "Reliability of the image subscriptions.", choices=("best_effort", "reliable")
    )
    depth: int = option(5, "Queue depth of each image subscription.", minimum=1, maximum=100)


@dataclass(frozen=True)
class SyncParameters:
    """How images become sets."""

    policy: str = option(
        "anchor",
        "anchor: own synchroniser with learned camera offsets; approximate_time: message_filters.",
        choices=("anchor", "approximate_time"),
    )
    anchor: str = option("", "Camera that starts a set and gives its stamp; empty: the first of `cameras.names`.")
    timeout_s: float = _ranged(SYNC_TIMEOUT_S, "How long a set waits for its last image [s].")
    missing: str = option(
        "drop", "A set that lacks an image: drop it, or mask the camera with black pixels.", choices=("drop", "mask")
    )
    offsets_s: tuple[float, ...] = option(
        (), "Delay of each camera to the anchor [s], in the order of `cameras.names`; empty: learned."
    )
    queue_size: int = _ranged(SYNC_QUEUE_SIZE, "Images per camera that may wait.")
    max_backward_s: float = _ranged(SYNC_MAX_BACKWARD_S, "Stamps that go back further start over: a bag loop [s].")
    slop_s: float = option(
        0.1, "Largest stamp difference in a set, approximate_time only [s].", minimum=0.0, maximum=1.0
    )


@dataclass(frozen=True)
class TransformParameters:
    """Extrinsics and ego motion."""

    max_wait_s: float = _ranged(TF_MAX_WAIT_S, "How long a complete set waits for its transforms [s].")


@dataclass(frozen=True)
class MemoryParameters:
    """Past frames of temporal variants."""

    interval_s: float = _ranged(
        MEMORY_INTERVAL_S, "Spacing of the past frames given to the network [s]; published networks saw 0.5."
    )
    max_gap_s: float = _ranged(MEMORY_MAX_GAP_S, "A longer pause between sets forgets the past [s].")
    max_speed_mps: float = _ranged(
        MEMORY_MAX_SPEED_MPS, "A pose that moves faster is a jump and forgets the past [m/s]."
    )


@dataclass(frozen=True)
class DistanceParameters:
    """Largest distance of a voxel from the centre of its object; the fields are the classes that have instances."""

    car: float = _distance_m(4.0)
    truck: float = _distance_m(7.0)
    construction_vehicle: float = _distance_m(6.0)
    bus: float = _distance_m(9.0)
    trailer: float = _distance_m(9.0)
    barrier: float = _distance_m(2.5)
    motorcycle: float = _distance_m(2.0)
    bicycle: float = _distance_m(2.0)
    pedestrian: float = _distance_m(1.5)
    traffic_cone: float = _distance_m(1.5)

    def by_class_name(self) -> dict[str, float]:
        """Metres per class name."""
        return asdict(self)


@dataclass(frozen=True)
class PanopticParameters:
    """Instances; used by panoptic variants only."""

    reference_mode: bool = option(False, "Reproduce the published assignment, with its known faults.")
    track_max_age_s: float = _ranged(TRACK_MAX_AGE_S, "How long an unseen object keeps its id [s].")
    max_distance_m: DistanceParameters = field(default_factory=DistanceParameters)


@dataclass(frozen=True)
class OutputParameters:
    """Quality of service of the results."""

    reliability: str = option(
        "reliable", "Reliability of the result topics that are not latched.", choices=("reliable", "best_effort")
    )
    depth: int = option(2, "Queue depth of the result topics that are not latched.", minimum=1, maximum=100)


@dataclass(frozen=True)
class MarkerParameters:
    """The `markers` output."""

    alpha: float = option(1.0, "Opacity of the cubes.", minimum=0.0, maximum=1.0)
    max_names: int = option(30, "Names over this many of the nearest objects; 0: none.", minimum=0, maximum=1000)


@dataclass(frozen=True)
class CostParameters:
    """Cost of each class of Occ3D in the `grid` output; a variant file says what its own classes cost."""

    others: int = _cost(100)
    barrier: int = _cost(100)
    bicycle: int = _cost(100)
    bus: int = _cost(100)
    car: int = _cost(100)
    construction_vehicle: int = _cost(100)
    motorcycle: int = _cost(100)
    pedestrian: int = _cost(100)
    traffic_cone: int = _cost(100)
    trailer: int = _cost(100)
    truck: int = _cost(100)
    driveable_surface: int = _cost(0)
    other_flat: int = _cost(30)
    sidewalk: int = _cost(60)
    terrain: int = _cost(80)
    manmade: int = _cost(100)
    vegetation: int = _cost(100)

    def by_class_id(self, classes: ClassTable) -> tuple[int, ...]:
        """Costs of the classes of a table by id."""
        if classes is OCC3D:
            return tuple(getattr(self, c.name, c.cost) for c in classes.classes)
        return tuple(c.cost for c in classes.classes)


@dataclass(frozen=True)
class GridParameters:
    """The `grid` output."""

    min_height_m: float = option(
        0.0, "Obstacles whose voxels lie lower do not count [m, base frame].", minimum=-100.0, maximum=100.0
    )
    max_height_m: float = option(
        2.2, "Obstacles whose voxels lie higher do not count [m, base frame].", minimum=-100.0, maximum=100.0
    )
    empty_is_unknown: bool = option(True, "A column without any voxel is unknown (-1) rather than free (0).")
    costs: CostParameters = field(default_factory=CostParameters)


@dataclass(frozen=True)
class DiagnosticsParameters:
    """`/diagnostics` and its watchdog."""

    period_s: float = option(1.0, "Time between two reports [s].", minimum=0.1, maximum=10.0)
    warn_after_s: float = option(1.0, "No image or no result for so long is a WARN [s].", minimum=0.1, maximum=600.0)
    error_after_s: float = option(5.0, "No image or no result for so long is an ERROR [s].", minimum=0.1, maximum=600.0)


@dataclass(frozen=True)
class NodeParameters:
    """All parameters of `flashocc_node`; read when it is configured."""

    variant: str = option(
        "flashocc-r50-M0",
        "Network, of those that `flashocc variants` lists, or the path of a variant file (.yaml).",
        choices=tuple(VARIANTS),
        or_file=True,
    )
    checkpoint: str = option(
        "",
        "Weights, .pth or .safetensors, or the folder of an export; empty: the shipped ones of a synthetic variant, "
        "else untrained.",
    )
    engine: str = option(AUTO, "Inference engine.", choices=(AUTO, *ENGINES))
    precision: str = option(
        AUTO, "Arithmetic of the engine; auto: that of an export, else fp32.", choices=(AUTO, *PRECISIONS)
    )
    cache_dir: str = option("", "Folder for built engines; empty: ~/.cache/flashocc_ros.")
    autostart: bool = option(True, "Configure and activate at start.", read_only=True)
    base_frame: str = option("base_link", "Frame of the results: x forward, y left, z up.")
    odom_frame: str = option("odom", "Fixed frame for ego motion; empty: none, static extrinsics.")
    cameras: CameraParameters = field(default_factory=CameraParameters)
    camera_overrides: dict[str, dict[str, str]] = field(default_factory=dict, metadata={"per_camera": True})
    sync: SyncParameters = field(default_factory=SyncParameters)
    tf: TransformParameters = field(default_factory=TransformParameters)
    memory: MemoryParameters = field(default_factory=MemoryParameters)
    panoptic: PanopticParameters = field(default_factory=PanopticParameters)
    outputs: OutputParameters = field(default_factory=OutputParameters)
    markers: MarkerParameters = field(default_factory=MarkerParameters)
    grid: GridParameters = field(default_factory=GridParameters)
    diagnostics: DiagnosticsParameters = field(default_factory=DiagnosticsParameters)

    @property
    def anchor(self) -> str:
        """Camera whose stamp is the key stamp of a set."""
        return self.sync.anchor or self.cameras.names[0]

    def image_topic(self, camera: str) -> str:
        """Image topic of a camera, as given: relative unless it starts with a slash."""
        template = self.cameras.image_topic or DEFAULT_IMAGE_TOPIC[self.cameras.transport]
        return self._override(camera, "image_topic") or template.replace("{name}", camera)

    def info_topic(self, camera: str) -> str:
        """CameraInfo topic of a camera."""
        return self._override(camera, "info_topic") or self.cameras.info_topic.replace("{name}", camera)

    def frame(self, camera: str) -> str:
        """Optical frame of a camera; empty: take the one of its CameraInfo."""
        return self._override(camera, "frame")

    def _override(self, camera: str, key: str) -> str:
        return self.camera_overrides.get(camera, {}).get(key, "")


def walk(owner: Any = NodeParameters, prefix: str = "") -> Iterator[tuple[str, Any, Limits]]:
    """Yield (dotted name, default or value, limits) of every parameter but the per-camera ones."""
    instance = None if isinstance(owner, type) else owner
    for item in fields(owner):
        value = default_of(item) if instance is None else getattr(instance, item.name)
        if "limits" in item.metadata:
            yield prefix + item.name, value, item.metadata["limits"]
        elif is_dataclass(value):
            yield from walk(type(value) if instance is None else value, f"{prefix}{item.name}.")


def default_of(item: Field[Any]) -> Any:
    """The default of a field, made if it has to be."""
    return item.default_factory() if callable(item.default_factory) else item.default
