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

"""Recordings on servers give what the same files give on disk."""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from urllib.parse import quote

import fsspec
import numpy as np
import pytest
from drive_bag import MS, T0_NS, write_drive
from mcap.writer import CompressionType, Writer
from web_server import Web, serve

from flashocc_ros import bags
from flashocc_ros.bags.files import is_recording
from flashocc_ros.errors import BagError, ConfigError, RemoteError
from flashocc_ros.remote import RemotePath, access, expand, location, version_of

ALL = [T0_NS + k * 100 * MS for k in range(6)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASHOCC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(access, "PAUSES_S", (0.0, 0.0, 0.0))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "served").mkdir()
    with serve(tmp_path / "served") as server:
        yield server


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[str]:
    """A folder in fsspec's memory, of this test alone."""
    files = fsspec.filesystem("memory")
    yield f"memory://{tmp_path.name}"
    files.rm(f"/{tmp_path.name}", recursive=True)


def put(source: Path, url: str) -> str:
    files, place = fsspec.url_to_fs(url)
    files.put(str(source), place, recursive=True)
    return url


def contents(path: str | Path) -> list[tuple[str, int, bytes]]:
    with bags.BagReader(path) as bag:
        return [(topic.name, stamp_ns, bytes(cdr)) for topic, stamp_ns, cdr in bag.messages()]


def stamps(path: str | Path | RemotePath) -> list[int]:
    return [found.stamp_ns for found in bags.read_sets(path)]


def said(path: str | Path, caplog: pytest.LogCaptureFixture) -> tuple[object, list[str]]:
    """What reading gives, an error included, and what is logged, with the place itself left out."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        try:
            found: object = contents(path)
        except BagError as error:
            found = str(error).replace(str(path), "PLACE")
    return found, [record.getMessage().replace(str(path), "PLACE") for record in caplog.records]


def with_lidar(source: Path, target: Path, cloud_bytes: int) -> Path:
    """The drive with a large topic in chunks of its own, as a recorder with a cache per topic writes it."""
    noise = np.random.default_rng(0)
    with target.open("wb") as file, bags.BagReader(source) as bag:
        writer = Writer(file, chunk_size=2048, compression=CompressionType.NONE)
        writer.start("ros2")
        channels = {}
        for topic in bag.topics.values():
            text, _ = bag.types.generate_msgdef(topic.type, ros_version=2)
            schema = writer.register_schema(topic.type, "ros2msg", text.encode())
            channels[topic.name] = writer.register_channel(topic.name, "cdr", schema)
        schema = writer.register_schema("std_msgs/msg/ByteMultiArray", "ros2msg", b"byte[] data")
        lidar = writer.register_channel("/lidar", "cdr", schema)
        begin_ns = 0
        for topic, stamp_ns, cdr in bag.messages():
            writer.add_message(channels[topic.name], stamp_ns, bytes(cdr), stamp_ns)
            if stamp_ns - begin_ns > 150 * MS:
                begin_ns = stamp_ns
                writer.add_message(lidar, stamp_ns, bytes(2048), stamp_ns)  # ends the chunk of the cameras
                for k in range(1, 5):
                    writer.add_message(lidar, stamp_ns + k, noise.bytes(cloud_bytes), stamp_ns + k)
        writer.finish()
    return target


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_on_the_web_is_what_it_is_on_disk(web: Web, storage: str, ranges: bool) -> None:
    drive = write_drive(web.folder / "drive", storage=storage)
    file = next(path for path in drive.iterdir() if path.suffix != ".yaml")
    web.ranges = ranges
    assert contents(f"{web.url}/drive/{file.name}") == contents(file)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_folder_in_a_store_is_what_it_is_on_disk(memory: str, tmp_path: Path, storage: str) -> None:
    drive = write_drive(tmp_path / "drive", storage=storage)
    url = put(drive, f"{memory}/drive")
    assert is_recording(RemotePath(url))
    assert contents(url) == contents(drive)
    assert stamps(url) == ALL


@pytest.mark.parametrize("name", ["drive", "day 1 #2 100%"])
def test_a_folder_of_the_web_is_listed_by_its_links(web: Web, name: str) -> None:
    drive = write_drive(web.folder / name)
    (drive / "metadata.yaml").unlink()
    assert stamps(f"{web.url}/{quote(name)}/") == stamps(drive)


def test_of_an_indexed_file_only_chunks_with_wanted_topics_are_fetched(web: Web, tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive", sets=20)
    file = with_lidar(drive, web.folder / "drive.mcap", 1 << 18)
    assert stamps(f"{web.url}/drive.mcap") == stamps(drive)
    assert file.stat().st_size > 10 << 20
    assert web.sent < file.stat().st_size / 40
    assert not list((tmp_path / "cache").rglob("*.mcap"))


def test_of_a_file_whose_chunks_mix_topics_a_copy_is_read_once(web: Web, tmp_path: Path) -> None:
    file = write_drive(web.folder / "drive", sets=40) / "drive.mcap"
    assert len(stamps(f"{web.url}/drive/drive.mcap")) == 40
    assert file.stat().st_size < web.sent < 1.2 * file.stat().st_size  # transforms, first images, sets
    assert len(list((tmp_path / "cache").rglob("*.mcap"))) == 1
    sent = web.sent
    assert len(contents(f"{web.url}/drive/drive.mcap")) > 40
    assert web.sent == sent


def test_without_room_for_a_copy_it_is_read_by_ranges(
    web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLASHOCC_RECORDINGS_GB", "0.0001")
    drive = write_drive(web.folder / "drive", sets=40)
    assert stamps(f"{web.url}/drive/drive.mcap") == stamps(drive)
    assert not list((tmp_path / "cache").rglob("*.mcap"))


def test_neighbouring_chunks_are_fetched_together(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASHOCC_RECORDINGS_GB", "0.0001")
    drive = write_drive(web.folder / "drive", sets=40)
    assert stamps(f"{web.url}/drive/drive.mcap") == stamps(drive)
    assert len(web.asked) < 12


def test_an_unfinished_file_is_read_from_a_copy(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    drive = write_drive(web.folder / "drive")
    file = drive / "drive.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    on_disk, web_said = said(file, caplog), said(f"{web.url}/drive/drive.mcap", caplog)
    assert on_disk == web_said
    assert "never finished" in web_said[1][0]


@pytest.mark.parametrize("room_gb", ["0.0001", "1"])  # by ranges, from a copy
@pytest.mark.parametrize("place", range(0, 12))
def test_damage_is_found_and_said_as_on_disk(
    web: Web, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, place: int, room_gb: str
) -> None:
    monkeypatch.setenv("FLASHOCC_RECORDINGS_GB", room_gb)
    drive = write_drive(web.folder / "drive")
    file = drive / "drive.mcap"
    data = bytearray(file.read_bytes())
    data[len(data) * place // 12 + 9] ^= 255
    file.write_bytes(data)
    assert said(file, caplog) == said(f"{web.url}/drive/drive.mcap", caplog)


def test_an_index_too_large_is_refused_unread(memory: str, tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive")
    (drive / "metadata.yaml").write_bytes(b"#" * (5 << 20))
    with pytest.raises(BagError, match=r"metadata.yaml is 5.2 MB long, the limit is 4.2 MB"):
        stamps(put(drive, f"{memory}/drive"))


@pytest.mark.parametrize("name", ["..", "../../secret.mcap", "/etc/passwd"])
def test_an_index_leads_nowhere_else(memory: str, tmp_path: Path, name: str) -> None:
    drive = write_drive(tmp_path / "drive")
    text = (drive / "metadata.yaml").read_text().replace("- drive.mcap", f"- {name}")
    (drive / "metadata.yaml").write_text(text)
    url = put(drive, f"{memory}/drive")
    if name == "..":
        with pytest.raises(Exception, match="is no name of a file"):
            stamps(url)
    else:
        assert stamps(url) == ALL  # what is there is used


def test_a_replaced_file_is_fetched_anew(web: Web, tmp_path: Path) -> None:
    web.ranges = False
    for sets in (6, 8, 8):
        shutil.rmtree(web.folder / "drive", ignore_errors=True)
        write_drive(web.folder / "drive", storage="sqlite3", sets=sets)
        assert len(stamps(f"{web.url}/drive/drive.db3")) == sets
    asked = len(web.asked)
    assert len(stamps(f"{web.url}/drive/drive.db3")) == 8
    assert len([name for name, _ in web.asked[asked:] if name == "drive.db3"]) <= 3  # looks at its head, no copy


def test_a_file_replaced_while_it_is_read_is_no_result(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASHOCC_RECORDINGS_GB", "0.0001")
    file = write_drive(web.folder / "drive", sets=40) / "drive.mcap"
    with bags.BagReader(f"{web.url}/drive/drive.mcap") as bag:
        messages = bag.messages()
        next(messages)
        file.write_bytes(file.read_bytes())
        with pytest.raises(RemoteError, match=r"drive.mcap was replaced while it was read; run again"):
            list(messages)


def test_the_version_changes_with_the_file(web: Web, tmp_path: Path) -> None:
    for file in (web.folder / "a.mcap", tmp_path / "b.mcap"):
        place = location(f"{web.url}/a.mcap") if file.name == "a.mcap" else file
        file.write_bytes(b"one")
        first = version_of(place)
        assert version_of(place) == first
        file.write_bytes(b"two")
        assert version_of(place) != first


def test_a_fault_that_passes_costs_nothing(web: Web) -> None:
    drive = write_drive(web.folder / "drive")
    web.fault = lambda number: {1: 503, 2: 500, 4: "cut", 6: 429}.get(number)
    assert stamps(f"{web.url}/drive/drive.mcap") == stamps(drive)


def test_a_fault_that_stays_is_one_sentence_after_four_tries(web: Web) -> None:
    write_drive(web.folder / "drive")
    web.fault = lambda number: 503
    with pytest.raises(RemoteError) as caught:
        stamps(f"{web.url}/drive/drive.mcap?signature=TOPSECRET")
    assert str(caught.value) == (
        f"{web.url}/drive/drive.mcap cannot be reached (the server answers 503, tried 4 times); check the URL, the "
        "network and the server"
    )
    assert web.requests <= 8  # each try asks for the head and then for the file


@pytest.mark.parametrize("status", [401, 403])
def test_denied_access_is_not_tried_again(web: Web, status: int) -> None:
    web.fault = lambda number: status
    with pytest.raises(RemoteError, match=f"access is denied .the server answers {status}.; fsspec takes credentials"):
        stamps(f"{web.url}/drive.mcap")
    assert web.requests <= 2


def test_a_server_that_is_not_there_is_named_without_credentials() -> None:
    with serve(Path()) as gone:
        port = gone.url.rpartition(":")[2]
    url = f"http://user:PASSWORD@127.0.0.1:{port}/drive.mcap?X-Signature=TOPSECRET"
    with pytest.raises(RemoteError) as caught:
        stamps(url)
    assert str(caught.value).startswith(f"http://127.0.0.1:{port}/drive.mcap cannot be reached (ClientConnectorError")
    assert "PASSWORD" not in str(caught.value)
    assert "TOPSECRET" not in str(caught.value)


def test_a_silent_server_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "READ_TIMEOUT_S", 0.1)
    ended = Event()
    web.fault = lambda number: 503 if ended.wait(30) else None
    with pytest.raises(RemoteError, match=r"drive.mcap cannot be reached .*Timeout.* tried 4 times"):
        stamps(f"{web.url}/drive.mcap")
    ended.set()


def test_what_is_not_there_is_said_as_on_disk(web: Web) -> None:
    with pytest.raises(BagError, match=rf"{web.url}/none.mcap does not exist; give the folder"):
        stamps(f"{web.url}/none.mcap")


def test_a_kind_of_url_nobody_knows_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"nowhere://bucket/drive.mcap cannot be reached .*nowhere.*check the URL"):
        stamps("nowhere://bucket/drive.mcap")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(ConfigError, match=r"gs:// needs a package that is not installed .*gcsfs"):
        stamps("gs://bucket/drive.mcap")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(ConfigError, match=r"needs fsspec: pip install 'flashocc_ros\[fleet\]'"):
        stamps("s3://bucket/drive.mcap")


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert location(f"file://{tmp_path}/drive") == tmp_path / "drive"
    assert stamps(f"file://{write_drive(tmp_path / 'drive')}") == ALL


def test_a_place_goes_to_other_processes(web: Web) -> None:
    drive = write_drive(web.folder / "drive")
    place = location(f"{web.url}/drive/drive.mcap")
    assert isinstance(place, RemotePath)
    place.open().read(10)
    copy = pickle.loads(pickle.dumps(place))
    assert copy == place
    assert stamps(copy) == stamps(drive)


def test_patterns_name_files_here_and_there(memory: str, tmp_path: Path) -> None:
    for name in ("b", "a", "c[1]"):
        (tmp_path / "drives").mkdir(exist_ok=True)
        (tmp_path / "drives" / f"{name}.mcap").write_bytes(b"")
    put(tmp_path / "drives", f"{memory}/drives")
    local = [tmp_path / "drives" / f"{name}.mcap" for name in ("a", "b", "c[1]")]
    assert expand([tmp_path / "drives" / "*.mcap"]) == local
    assert expand([str(local[1]), f"{tmp_path}/drives/*"]) == [local[1], local[0], local[2]]
    assert expand([local[2]]) == [local[2]]
    found = expand([f"{memory}/drives/[ab].mcap"])
    assert [str(place) for place in found] == [f"{memory}/drives/{name}.mcap" for name in "ab"]
    assert all(place.exists() for place in found)
    with pytest.raises(ConfigError, match=r"nothing\*.mcap fits nothing; check the pattern"):
        expand([f"{memory}/*/nothing*.mcap"])


def test_patterns_of_the_web_keep_their_host(web: Web) -> None:
    write_drive(web.folder / "drive")
    assert expand([f"{web.url}/drive/*.mcap"]) == [location(f"{web.url}/drive/drive.mcap")]
