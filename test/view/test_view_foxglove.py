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

"""Foxglove recordings and the server, read back by the reader and the protocol of Foxglove."""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from view_scenes import CAR, CAR_ID, GRID, PERIOD_NS, ROAD, START_NS, drive, frame, layer, source

from flashocc_ros.errors import ConfigError, InputError
from flashocc_ros.labels import FREE
from flashocc_ros.structures import Instance
from flashocc_ros.view.foxglove_log import write_mcap
from flashocc_ros.view.foxglove_server import FoxgloveServer

pytest.importorskip("foxglove")


def read(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Log time and message by topic."""
    from mcap.reader import make_reader
    from mcap_protobuf.decoder import DecoderFactory

    found: dict[str, list[tuple[int, Any]]] = {}
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, channel, message, decoded in reader.iter_decoded_messages():
            found.setdefault(channel.topic, []).append((message.log_time, decoded))
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, Any]]]:
    path = tmp_path_factory.mktemp("foxglove") / "drive.mcap"
    assert write_mcap(drive(3, ["front", "rear"], truth=True), path) == 3
    return read(path)


def test_each_frame_is_logged_at_its_stamp(recorded: dict[str, list[tuple[int, Any]]]) -> None:
    assert [time for time, _ in recorded["/occupancy/voxels"]] == [START_NS + k * PERIOD_NS for k in range(3)]
    assert {"/truth/voxels", "/cameras/front/image", "/cameras/rear/calibration"} <= set(recorded)


def test_voxels_are_a_byte_of_class_where_foxglove_looks_for_it(recorded: dict[str, list[tuple[int, Any]]]) -> None:
    message = recorded["/occupancy/voxels"][0][1]
    x, y, z = GRID.size

    def at(i: int, j: int, k: int) -> int:
        return int(message.data[k * message.slice_stride + j * message.row_stride + i * message.cell_stride])

    assert (message.column_count, message.row_count, len(message.data)) == (x, y, x * y * z)
    assert [at(29, 20, 1), at(3, 7, 0), at(3, 7, 5)] == [CAR, ROAD, FREE]
    assert [f.name for f in message.fields] == ["class"]
    assert (message.pose.position.x, message.cell_size.z, message.frame_id) == (-20.0, 1.0, "base_link")


def test_points_lie_in_the_middle_of_occupied_voxels(recorded: dict[str, list[tuple[int, Any]]]) -> None:
    grid, cloud = recorded["/occupancy/voxels"][0][1], recorded["/occupancy/points"][0][1]
    occupied = int((np.frombuffer(grid.data, np.uint8) != FREE).sum())
    assert len(cloud.data) == occupied * cloud.point_stride
    offsets = {f.name: f.offset for f in cloud.fields}
    first = cloud.data[: cloud.point_stride]
    assert struct.unpack_from("<3f", first, offsets["x"]) == (-19.5, -19.5, -0.5)
    assert (first[offsets["class"]], first[offsets["alpha"]]) == (ROAD, 255)


def test_objects_replace_those_of_the_frame_before(recorded: dict[str, list[tuple[int, Any]]]) -> None:
    message = recorded["/occupancy/objects"][0][1]
    assert [d.type for d in message.deletions] == [1]  # ALL
    car = next(e for e in message.entities if e.id == str(CAR_ID))
    assert (car.cubes[0].size.x, car.cubes[0].pose.position.x) == (4.0, 8.0)
    assert car.texts[0].text == f"car {CAR_ID}"
    assert {pair.key: pair.value for pair in car.metadata} == {"class": "car", "score": "0.83"}


def test_what_moves_has_an_arrow(tmp_path: Path) -> None:
    car = Instance(CAR_ID, CAR, 0.83, (8.0, 0.0, 1.0), (4.0, 2.0, 2.0), 16, (0.0, -4.0, 3.0), 0.5)
    shown = layer()
    write_mcap(source([frame(prediction=replace(shown, objects=(car,)))]), tmp_path / "drive.mcap")
    entities = read(tmp_path / "drive.mcap")["/occupancy/objects"][0][1].entities
    moving = next(e for e in entities if e.id == str(CAR_ID))
    (arrow,) = moving.arrows
    turned = Rotation.from_quat([getattr(arrow.pose.orientation, axis) for axis in "xyzw"])
    np.testing.assert_allclose(turned.apply([1.0, 0.0, 0.0]), [0.0, -0.8, 0.6], atol=1e-6)
    assert arrow.shaft_length + arrow.head_length == pytest.approx(5.0)
    assert {pair.key: pair.value for pair in moving.metadata}["velocity_mps"] == "0.00 -4.00 3.00"
    assert not any(e.arrows for e in entities if e is not moving)


def test_the_vehicle_and_its_cameras_are_in_the_tree_of_frames(recorded: dict[str, list[tuple[int, Any]]]) -> None:
    moved = [m for _, m in recorded["/tf"] if m.child_frame_id == "base_link"]
    assert [m.translation.x for m in moved] == [0.0, 2.0, 4.0]
    mounted = next(m for _, m in recorded["/tf"] if m.child_frame_id == "cameras/front")
    assert (mounted.parent_frame_id, mounted.translation.z) == ("base_link", 1.5)
    image, calibration = recorded["/cameras/front/image"][0][1], recorded["/cameras/front/calibration"][0][1]
    assert image.frame_id == calibration.frame_id == "cameras/front"
    assert (calibration.width, calibration.height, list(calibration.K)[:3]) == (64, 36, [40.0, 0.0, 32.0])


def test_nothing_to_show_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a drive holds no frame"):
        write_mcap(source([]), tmp_path / "empty.mcap")
    assert list(tmp_path.iterdir()) == []


def test_without_the_sdk_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "foxglove", None)
    with pytest.raises(ConfigError, match=r"pip install 'flashocc_ros\[foxglove\]'"):
        write_mcap(drive(1), tmp_path / "x.mcap")


def test_the_server_plays_to_whoever_connects() -> None:
    from websockets.sync.client import connect

    server = FoxgloveServer(drive(2), port=0)
    try:
        with connect(server.url, subprotocols=["foxglove.sdk.v1"], max_size=None) as client:  # type: ignore[list-item]
            packet: str | bytes = ""
            while isinstance(packet, str):
                packet = client.recv(timeout=60)
                news = json.loads(packet) if isinstance(packet, str) else {}
                for channel in news.get("channels", ()):
                    if channel["topic"] == "/occupancy/voxels":
                        wanted = {"id": 7, "channelId": channel["id"]}
                        client.send(json.dumps({"op": "subscribe", "subscriptions": [wanted]}))
    finally:
        server.close()
    assert struct.unpack_from("<BI", packet) == (1, 7)
    assert len(packet) > np.prod(GRID.size)


def test_a_source_without_frames_ends_the_server_with_its_reason() -> None:
    server = FoxgloveServer(source([]), port=0)
    try:
        assert server.failed.wait(30)
    finally:
        server.close()
    assert "a drive holds no frame" in server.error
