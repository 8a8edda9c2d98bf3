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

"""A drive as a rosbag2 recording that any ROS 2 tool replays: pictures, calibration, tf, odometry and the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from scipy.spatial.transform import Rotation

from flashocc_ros.bags import LATCHED, RELIABLE, SENSOR_DATA, BagWriter
from flashocc_ros.bags.result_writer import class_table_message, occupancy_message
from flashocc_ros.bags.results import CLASS_TABLE_TYPE, DRAWN_TRUTH_TOPIC
from flashocc_ros.camera_model import PINHOLE
from flashocc_ros.cameras.rectify import info_model
from flashocc_ros.data.synthetic.drive import Drive, Pictures, Truth
from flashocc_ros.data.synthetic.lidar import Lidar, Sweep, base_from_lidar, scan
from flashocc_ros.data.synthetic.truth import LIDAR_MOUNT_M
from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.labels import CLASS_NAMES, IGNORE, OCC3D, ClassTable
from flashocc_ros.structures import CameraRig
from flashocc_ros.whole_file import whole_folder

TRUTH_TOPIC = DRAWN_TRUTH_TOPIC
CLASSES_TOPIC = "/ground_truth/class_table"
BOXES_TOPIC = "/ground_truth/boxes"
LIDAR_TOPIC, LIDAR_FRAME = "/lidar/points", "lidar"
ODOM_FRAME, BASE_FRAME = "odom", "base_link"
JPEG_QUALITY = 90
_POSE_PERIOD_S = 0.02
_POINT: np.dtype[np.void] = np.dtype(
    {
        "names": ["x", "y", "z", "intensity", "time", "ring", "label"],
        "formats": ["<f4", "<f4", "<f4", "<f4", "<f4", "<u2", "u1"],
        "offsets": [0, 4, 8, 12, 16, 20, 22],
        "itemsize": 24,
    }
)
_DATATYPES = {"float32": 7, "uint16": 4, "uint8": 2}
"""Of sensor_msgs/PointField."""


def write_bag(
    path: str | Path,
    drive: Drive,
    rate_hz: float = 12.0,
    truth_every: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    lidar: Lidar | None = None,
    classes: ClassTable = OCC3D,
) -> int:
    """Write a drive to a new rosbag2 folder (mcap) and return the number of camera sets.

    Topics: ``/<CAMERA>/image_rect_compressed`` (of lenses ``/<CAMERA>/image_raw/compressed``) and
    ``/<CAMERA>/camera_info`` at ``rate_hz``, ``/tf_static``, ``/tf`` and ``/odom`` at 50 Hz,
    ``/ground_truth/occupancy`` (``flashocc_ros/msg/OccupancyTruth``) at key frames; with a
    lidar ``/lidar/points`` and, at each sweep's start, ``/ground_truth/boxes`` (``vision_msgs/msg/Detection3DArray``).
    The same drive gives the same bytes. An error or Ctrl-C on the way leaves no folder;
    what a killed process leaves, under another name, the next one replaces.

    Args:
        rate_hz: camera sets per second, 0.5 to 30.
        truth_every: ground truth with every n-th set; default so that key frames are 0.5 s apart or wider.
        progress: called with sets done and sets in all.
        lidar: scans beside the cameras; None for none.
        classes: of truth, points and boxes, which the recording then tells of too; what none of them stands for
            becomes 255.

    Raises:
        ConfigError: the rate is out of range, or the drive is too short for one set.
        BagError: the folder exists.
        OutputError: it cannot be written, as on a full disk.
    """
    if not 0.5 <= rate_hz <= 30:
        raise ConfigError(f"rate {rate_hz:g} Hz must lie within 0.5 and 30 Hz")
    sets = round(drive.duration_s * rate_hz)
    if sets < 1:
        raise ConfigError(f"{drive.duration_s:g} s at {rate_hz:g} Hz hold no camera set; make the drive longer")
    every = truth_every or max(1, round(rate_hz * drive.interval_s))
    cameras = drive.rig.cameras
    path = Path(path)
    if path.exists():
        raise BagError(f"{path} exists already; remove it or choose another name")
    with whole_folder(path) as folder, BagWriter(folder, compress=True) as bag:
        bag.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", LATCHED)
        bag.add_topic("/tf", "tf2_msgs/msg/TFMessage", RELIABLE)
        bag.add_topic("/odom", "nav_msgs/msg/Odometry", RELIABLE)
        bag.add_topic(TRUTH_TOPIC, "flashocc_ros/msg/OccupancyTruth", RELIABLE)
        for name in cameras.names:
            bag.add_topic(_image_topic(cameras, name), "sensor_msgs/msg/CompressedImage", SENSOR_DATA)
            bag.add_topic(f"/{name}/camera_info", "sensor_msgs/msg/CameraInfo", SENSOR_DATA)
        if lidar is not None:
            bag.add_topic(LIDAR_TOPIC, "sensor_msgs/msg/PointCloud2", SENSOR_DATA)
            bag.add_topic(BOXES_TOPIC, "vision_msgs/msg/Detection3DArray", RELIABLE)
        messages = _Messages(bag, drive, classes)
        start_ns = drive.stamp_ns(-0.1)
        if classes is not OCC3D:
            bag.add_topic(CLASSES_TOPIC, CLASS_TABLE_TYPE, LATCHED)
            bag.write(CLASSES_TOPIC, start_ns, class_table_message(bag, classes))
        bag.write("/tf_static", start_ns, messages.static_transforms(start_ns, lidar is not None))
        pose_at, sweep = -0.1, 0
        for number in range(sets):
            t = number / rate_hz
            # Poses go ahead of the pictures they belong to, as a localisation at 50 Hz would deliver them in time.
            until = t + 1 / rate_hz if number + 1 < sets else drive.duration_s + 0.2
            while pose_at <= until:
                messages.write_pose(pose_at)
                pose_at = round(pose_at + _POSE_PERIOD_S, 6)
            while lidar is not None and (sweep + 1) / lidar.rate_hz <= (
                until if number + 1 < sets else drive.duration_s
            ):
                messages.write_sweep(scan(drive.world, lidar, sweep), lidar)
                sweep += 1
            messages.write_pictures(drive.pictures(t, noise_seed=number))
            if number % every == 0:
                messages.write_truth(drive.truth(t), drive.stamp_ns(drive.key_time(t)))
            if progress is not None:
                progress(number + 1, sets)
    return sets


def _image_topic(cameras: CameraRig, name: str) -> str:
    """By convention ``image_rect*`` is free of distortion."""
    flat = cameras.models[cameras.names.index(name)] == PINHOLE
    return f"/{name}/image_rect_compressed" if flat else f"/{name}/image_raw/compressed"


class _Messages:
    """Builds and writes the messages of one drive."""

    def __init__(self, bag: BagWriter, drive: Drive, classes: ClassTable) -> None:
        self.bag, self.drive, self.classes = bag, drive, classes
        own = np.array(classes.from_occ3d(), np.uint8)
        self._own = np.where(own < len(classes), own, np.uint8(IGNORE))
        self.infos = [self._camera_info(i) for i in range(drive.rig.cameras.num_cameras)]

    def _transform(self, stamp_ns: int, parent: str, child: str, pose: npt.NDArray[np.float64]) -> Any:
        m = self.bag.message
        x, y, z, w = (float(v) for v in Rotation.from_matrix(pose[:3, :3]).as_quat())
        px, py, pz = (float(v) for v in pose[:3, 3])
        return m(
            "geometry_msgs/msg/TransformStamped",
            header=self.bag.header(stamp_ns, parent),
            child_frame_id=child,
            transform=m(
                "geometry_msgs/msg/Transform",
                translation=m("geometry_msgs/msg/Vector3", x=px, y=py, z=pz),
                rotation=m("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
            ),
        )

    def static_transforms(self, stamp_ns: int, with_lidar: bool) -> Any:
        cameras = self.drive.rig.cameras
        transforms = [
            self._transform(stamp_ns, BASE_FRAME, name, pose)
            for name, pose in zip(cameras.names, cameras.base_from_camera, strict=True)
        ]
        if with_lidar:
            transforms.append(self._transform(stamp_ns, BASE_FRAME, LIDAR_FRAME, base_from_lidar()))
        return self.bag.message("tf2_msgs/msg/TFMessage", transforms=transforms)

    def write_pose(self, t: float) -> None:
        m, world = self.bag.message, self.drive.world
        stamp_ns, pose = self.drive.stamp_ns(t), world.ego_pose(t)
        transform = self._transform(stamp_ns, ODOM_FRAME, BASE_FRAME, pose)
        self.bag.write("/tf", stamp_ns, m("tf2_msgs/msg/TFMessage", transforms=[transform]))
        later = world.ego_pose(t + 0.02)
        linear = pose[:3, :3].T @ (later[:3, 3] - pose[:3, 3]) / 0.02
        angular = Rotation.from_matrix(pose[:3, :3].T @ later[:3, :3]).as_rotvec() / 0.02
        twist = m(
            "geometry_msgs/msg/Twist",
            linear=m("geometry_msgs/msg/Vector3", **dict(zip("xyz", map(float, linear), strict=True))),
            angular=m("geometry_msgs/msg/Vector3", **dict(zip("xyz", map(float, angular), strict=True))),
        )
        moved, zeros = transform.transform, np.zeros(36)
        position = m("geometry_msgs/msg/Point", x=moved.translation.x, y=moved.translation.y, z=moved.translation.z)
        odometry = m(
            "nav_msgs/msg/Odometry",
            header=transform.header,
            child_frame_id=BASE_FRAME,
            pose=m(
                "geometry_msgs/msg/PoseWithCovariance",
                pose=m("geometry_msgs/msg/Pose", position=position, orientation=moved.rotation),
                covariance=zeros,
            ),
            twist=m("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=zeros),
        )
        self.bag.write("/odom", stamp_ns, odometry)

    def _camera_info(self, camera: int) -> dict[str, Any]:
        height, width = self.drive.rig.image_size
        k, model = self.drive.rig.cameras.intrinsics[camera], self.drive.rig.cameras.models[camera]
        flat = np.concatenate([k, np.zeros((3, 1))], 1)  # of a lens P would be that of a flat picture: not known
        return {
            "height": height,
            "width": width,
            "distortion_model": info_model(model),
            "d": np.zeros(5) if model == PINHOLE else np.array(model.coefficients),
            "k": k.ravel(),
            "r": np.eye(3).ravel(),
            "p": (flat if model == PINHOLE else np.zeros((3, 4))).ravel(),
            "binning_x": 0,
            "binning_y": 0,
            "roi": self.bag.message(
                "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
            ),
        }

    def write_pictures(self, pictures: Pictures) -> None:
        m, names = self.bag.message, self.drive.rig.cameras.names
        for camera in np.argsort(pictures.stamps_ns, kind="stable"):
            name, stamp_ns = names[camera], pictures.stamps_ns[camera]
            header = self.bag.header(stamp_ns, name)
            jpeg = simplejpeg.encode_jpeg(pictures.images[camera], quality=JPEG_QUALITY, colorspace="RGB")
            image = m(
                "sensor_msgs/msg/CompressedImage",
                header=header,
                format="rgb8; jpeg compressed bgr8",
                data=np.frombuffer(jpeg, np.uint8),
            )
            self.bag.write(_image_topic(self.drive.rig.cameras, name), stamp_ns, image)
            info = m("sensor_msgs/msg/CameraInfo", header=header, **self.infos[camera])
            self.bag.write(f"/{name}/camera_info", stamp_ns, info)

    def write_sweep(self, sweep: Sweep, lidar: Lidar) -> None:
        """The points when the sweep is complete, the true boxes of its start."""
        start_ns, end_ns = (self.drive.stamp_ns(t) for t in (sweep.start_s, sweep.start_s + 1 / lidar.rate_hz))
        height, width = sweep.labels.shape
        points = np.zeros((height, width), _POINT)
        for axis, name in enumerate("xyz"):
            points[name] = sweep.points[..., axis]
        points["intensity"], points["label"] = sweep.intensity, self._own[sweep.labels]
        points["time"], points["ring"] = lidar.times_s, np.arange(height)[:, None]
        fields = [
            self.bag.message(
                "sensor_msgs/msg/PointField",
                name=name,
                offset=described[1],
                datatype=_DATATYPES[described[0].name],
                count=1,
            )
            for name, described in (_POINT.fields or {}).items()
        ]
        cloud = self.bag.message(
            "sensor_msgs/msg/PointCloud2",
            header=self.bag.header(start_ns, LIDAR_FRAME),
            height=height,
            width=width,
            fields=fields,
            is_bigendian=False,
            point_step=_POINT.itemsize,
            row_step=_POINT.itemsize * width,
            data=points.view(np.uint8).ravel(),
            is_dense=False,
        )
        self.bag.write(LIDAR_TOPIC, end_ns, cloud)
        self.bag.write(BOXES_TOPIC, end_ns, self._boxes(sweep.start_s))

    def _boxes(self, t: float) -> Any:
        m, world = self.bag.message, self.drive.world
        header = self.bag.header(self.drive.stamp_ns(t), BASE_FRAME)
        boxes = world.boxes(t, np.asarray(np.linalg.inv(world.ego_pose(t))))
        detections = []
        for index in range(len(boxes.instance)):
            x, y, z = (float(v) for v in boxes.center[index])
            half_yaw = 0.5 * float(boxes.yaw[index])
            pose = m(
                "geometry_msgs/msg/Pose",
                position=m("geometry_msgs/msg/Point", x=x, y=y, z=z),
                orientation=m(
                    "geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=float(np.sin(half_yaw)), w=float(np.cos(half_yaw))
                ),
            )
            size = m("geometry_msgs/msg/Vector3", **dict(zip("xyz", map(float, boxes.size[index]), strict=True)))
            label = int(self._own[boxes.label[index]])
            # What no class is made from keeps its name, by which it can be told that it is none.
            name = self.classes.names[label] if label < len(self.classes) else CLASS_NAMES[boxes.label[index]]
            result = m(
                "vision_msgs/msg/ObjectHypothesisWithPose",
                hypothesis=m("vision_msgs/msg/ObjectHypothesis", class_id=name, score=1.0),
                pose=m("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
            )
            detections.append(
                m(
                    "vision_msgs/msg/Detection3D",
                    header=header,
                    results=[result],
                    bbox=m("vision_msgs/msg/BoundingBox3D", center=pose, size=size),
                    id=str(boxes.instance[index]),
                )
            )
        return m("vision_msgs/msg/Detection3DArray", header=header, detections=detections)

    def write_truth(self, truth: Truth, stamp_ns: int) -> None:
        m, grid, semantics = self.bag.message, self.drive.grid, self._own[truth.semantics]
        # Ids below the first of an object repeat the class, as in predictions.
        first_id = self.classes.first_instance_id
        instances = np.where(truth.instances > 0, truth.instances + first_id, semantics)
        header = self.bag.header(stamp_ns, BASE_FRAME)
        occupancy = occupancy_message(self.bag, header, grid, self.classes, semantics, instances)
        message = m(
            "flashocc_ros/msg/OccupancyTruth",
            occupancy=occupancy,
            mask_camera=truth.mask_camera.ravel(),
            mask_lidar=truth.mask_lidar.ravel(),
            lidar_origin=m("geometry_msgs/msg/Point", **dict(zip("xyz", LIDAR_MOUNT_M, strict=True))),
        )
        self.bag.write(TRUTH_TOPIC, stamp_ns, message)
