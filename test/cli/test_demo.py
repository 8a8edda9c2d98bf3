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

"""Numbers and refusals of ``flashocc demo``. The demo itself: test/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from drive_bag import write_drive
from typer.testing import CliRunner

from flashocc_ros.bags import BagReader, BagWriter, Frames
from flashocc_ros.cli.demo import app
from flashocc_ros.demo.inputs import GeneratedDrive
from flashocc_ros.demo.run import Options, run
from flashocc_ros.demo.session import Session, copy_inputs
from flashocc_ros.demo.settings import Network, node_parameters, write_parameters
from flashocc_ros.demo.summary import SetCount, count_sets, lost_sets, quantiles, summarise
from flashocc_ros.errors import BagError, ConfigError
from flashocc_ros.output_folder import OutputFolder


def test_node_parameters_fit_the_recording(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive")) as bag:
        write_parameters(tmp_path / "node.yaml", node_parameters(bag, Network("synthetic-tiny")))
    parameters = yaml.safe_load((tmp_path / "node.yaml").read_text())["/**"]["ros__parameters"]
    cameras = parameters["cameras"]
    assert cameras["names"] == ["CAM_FRONT", "CAM_BACK"]
    assert cameras["transport"] == "compressed"
    assert cameras["rectified"] is False
    assert cameras["CAM_FRONT"]["image_topic"] == "/CAM_FRONT/image/compressed"
    assert parameters["odom_frame"] == "odom"


def test_a_lockstep_leaves_no_image_to_chance(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive")) as bag:
        parameters = node_parameters(bag, Network("synthetic-tiny"), lockstep=True)
    assert parameters["cameras"]["reliability"] == "reliable"


def test_the_node_follows_the_rays_of_fisheyes_where_it_is_asked(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive")) as bag:
        given = {f: node_parameters(bag, Network("synthetic-tiny", fisheye=f)) for f in ("rays", "rectify")}
    assert {f: parameters["cameras"]["fisheye"] for f, parameters in given.items()} == {f: f for f in given}


def test_a_recording_without_odometry_is_shown_with_static_cameras(tmp_path: Path) -> None:
    with BagReader(write_drive(tmp_path / "drive", odometry=False)) as bag:
        assert node_parameters(bag, Network("synthetic-tiny"))["odom_frame"] == ""


def test_the_summary_counts_what_the_node_reported(tmp_path: Path) -> None:
    status = {
        "network": "anything people may read",
        "engine": "openvino",
        "trained": "false",
        "sets_skipped": "2",
        "sets_dropped": "3",
        "sets_dropped_image": "1",
        "sets_dropped_transform": "2",
        "sets_dropped_reset": "0",
        "stage_encoder_ms_p50": "10.0",
        "stage_encoder_ms_p95": "12.0",
        "stage_encoder_ms_max": "13.0",
        "memory_peak_mb": "512.5",
    }
    replay = {
        "sent_ns": {"100": 1_000_000, "200": 5_000_000, "300": 6_000_000, "400": 7_000_000},
        "unanswered": 1,
        "late": 4,
    }
    session = Session(
        tmp_path, {100: 4_000_000, 200: 6_000_000, 300: 7_000_000, 400: 10_000_000}, status, replay, 0, 1.5
    )
    summary = summarise(session, tmp_path / "drive", SetCount(6, 0), Network("flashocc-r50-M0"), 0.0, False, None)
    assert (summary["published"], summary["skipped"], summary["dropped"]) == (4, 2, 3)
    assert summary["warm_up_ms"] == [3.0, 1.0]
    assert summary["dropped_reasons"] == {"image": 1, "transform": 2}
    assert summary["latency_ms"] == {"p50": 2.0, "p95": 2.9, "max": 3.0}
    assert summary["stages_ms"] == {"encoder": {"p50": 10.0, "p95": 12.0, "max": 13.0}}
    assert summary["node_peak_memory_mb"] == 512.5
    assert summary["trained"] is False
    assert summary["engine"] == "openvino"
    assert summary["sets_in_bag"] == 6


@pytest.mark.parametrize(
    ("status", "heard", "lost"),
    [
        ({"received": 3, "published": 3}, 3, {}),
        ({"received": 3, "published": 3}, 1, {"result not heard": 2}),
        ({"received": 3, "published": 2}, 2, {"not finished by the node": 1}),
        ({"received": 1, "published": 1}, 1, {"never complete in the node": 2}),
        ({"received": 3, "published": 1, "skipped": 1, "dropped": 1}, 1, {}),
        ({"received": 2, "published": 2, "dropped": 1, "dropped_incomplete": 1}, 2, {}),
    ],
)
def test_every_complete_set_is_accounted_for(
    tmp_path: Path, status: dict[str, int], heard: int, lost: dict[str, int]
) -> None:
    reported = {f"sets_{key}": str(count) for key, count in status.items()}
    session = Session(tmp_path, {k: k for k in range(heard)}, reported, {"sent_ns": {}}, 0, 1.0)
    assert lost_sets(session, SetCount(3, 0)) == lost
    accounted = heard + status.get("skipped", 0) + status.get("dropped", 0) + sum(lost.values())
    assert accounted == 3


def test_a_set_that_is_broken_in_the_recording_hides_no_loss(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "drive", skip={(1, 1)})
    counted = count_sets(bag)
    assert counted == SetCount(5, 1)
    status = {"sets_received": "4", "sets_published": "4", "sets_dropped": "1", "sets_dropped_incomplete": "1"}
    session = Session(tmp_path, {k: k for k in range(4)}, status, {"sent_ns": {}}, 0, 1.0)
    assert lost_sets(session, counted) == {"never complete in the node": 1}


def test_without_times_there_are_no_quantiles() -> None:
    assert quantiles([]) == {}


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def options(out: Path, bag: Path | None = None) -> Options:
    return Options(bag, Network("synthetic-tiny"), 0.0, out, GeneratedDrive(), pictures=False)


@pytest.mark.parametrize("name", ["drive", "result", "summary.json"])
def test_what_no_demo_is_known_to_have_made_is_refused_and_stays(tmp_path: Path, name: str) -> None:
    write_drive(tmp_path / name)
    before = content(tmp_path)
    with pytest.raises(ConfigError, match=f"{tmp_path / name} is in the way.*choose another --out"):
        run(options(tmp_path))
    assert content(tmp_path) == before


@pytest.mark.parametrize("where", ["result", "result/result.mcap", "link", "linked/result.mcap"])
def test_a_recording_that_a_demo_would_replace_is_refused(tmp_path: Path, where: str) -> None:
    with OutputFolder(tmp_path).writing(["result"]):
        write_drive(tmp_path / "result")
    (tmp_path / "link").symlink_to("result")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "result.mcap").symlink_to(tmp_path / "result" / "result.mcap")
    before = content(tmp_path)
    with pytest.raises(ConfigError, match=r"is to be written; choose another --out"):
        run(options(tmp_path, tmp_path / where))
    assert content(tmp_path) == before


@pytest.mark.parametrize("where", ["", "drive.mcap"])
def test_nothing_is_written_into_the_recording(tmp_path: Path, where: str) -> None:
    bag = write_drive(tmp_path / "drive")
    before = content(tmp_path)
    with pytest.raises(ConfigError, match="lies inside the input"):
        run(options(bag / "out", bag / where))
    assert content(tmp_path) == before


def test_a_recording_that_cannot_be_used_costs_no_earlier_result(tmp_path: Path) -> None:
    with OutputFolder(tmp_path).writing(["summary.json"]):
        (tmp_path / "summary.json").touch()
    with pytest.raises(BagError, match="nowhere does not exist"):
        run(options(tmp_path, tmp_path / "nowhere"))
    assert (tmp_path / "summary.json").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--variant", "flashocc-r51"], "unknown variant 'flashocc-r51'; did you mean flashocc-r50"),
        (["--checkpoint", "nowhere.pth"], "nowhere.pth does not exist"),
        (["--bag", "nowhere"], "nowhere does not exist"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert reason in str(result.exception)


def test_a_robot_with_its_own_names_is_shown(tmp_path: Path) -> None:
    frames = Frames.of("body", "robot1")
    with BagReader(write_drive(tmp_path / "drive")) as reader, BagWriter(tmp_path / "robot") as writer:
        for topic in reader.topics.values():
            writer.add_topic(f"/robot1{topic.name}", topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            message = reader.deserialize(cdr, topic.type)
            for transform in getattr(message, "transforms", ()):
                for part, name in ((transform.header, "frame_id"), (transform, "child_frame_id")):
                    setattr(part, name, getattr(part, name).replace("base_link", "body"))
            writer.write(f"/robot1{topic.name}", stamp_ns, message)
    assert count_sets(tmp_path / "robot", frames) == SetCount(6, 0)
    with BagReader(tmp_path / "robot") as bag, BagWriter(tmp_path / "result") as result:
        parameters = node_parameters(bag, Network("synthetic-tiny"), frames)
        copy_inputs(bag, result, frames)
    assert (parameters["base_frame"], parameters["odom_frame"]) == ("body", "odom")
    assert parameters["cameras"]["names"] == ["CAM_FRONT", "CAM_BACK"]
    assert count_sets(tmp_path / "result", Frames.of("body", "")).complete == 6
