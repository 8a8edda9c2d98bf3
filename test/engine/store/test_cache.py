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

"""The engine cache with real processes, real kills and a really full disk."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flashocc_ros.engine.store import cache
from flashocc_ros.engine.store.cache import CacheKey, cached, found
from flashocc_ros.errors import EngineError

KEY = CacheKey("openvino", "flashocc-r50-M0", {"onnx": "abc", "version": "2026.4", "device": "CPU"})


def write_engine(folder: Path) -> None:
    (folder / "engine.bin").write_bytes(b"engine")


def never(folder: Path) -> None:
    raise AssertionError("built although the entry was there")


def test_second_call_reuses_the_entry(tmp_path: Path) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    assert cached(tmp_path, KEY, never) == entry
    assert (entry / "engine.bin").read_bytes() == b"engine"


def test_a_sound_entry_is_found_and_nothing_is_built(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert found(tmp_path, KEY) is None
    entry = cached(tmp_path, KEY, write_engine)
    assert found(tmp_path, KEY) == entry
    (entry / "engine.bin").write_bytes(b"engi")
    assert found(tmp_path, KEY) is None
    assert "it is not used" in caplog.text


@pytest.mark.parametrize("part", ["onnx", "version", "device"])
def test_a_change_in_any_part_of_the_key_is_another_entry(tmp_path: Path, part: str) -> None:
    other = CacheKey(KEY.kind, KEY.variant, {**KEY.parts, part: "changed"})
    assert cached(tmp_path, KEY, write_engine) != cached(tmp_path, other, write_engine)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda e: (e / "engine.bin").write_bytes(b"engi"), "engine.bin is not the file that was written"),
        (lambda e: (e / "engine.bin").write_bytes(b"enginE"), "engine.bin is not the file that was written"),
        (lambda e: (e / "engine.bin").unlink(), "engine.bin is not the file that was written"),
        (lambda e: (e / "entry.json").write_text("{"), "entry.json cannot be read"),
        (lambda e: (e / "entry.json").unlink(), "entry.json cannot be read"),
        (lambda e: (e / "entry.json").write_text("[]"), "entry.json cannot be read"),
    ],
    ids=["truncated", "flipped", "missing", "half-json", "no-json", "not-a-table"],
)
def test_damaged_entry_is_built_again_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object, reason: str
) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    damage(entry)  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        cached(tmp_path, KEY, write_engine)
    assert reason in caplog.text
    assert cached(tmp_path, KEY, never) == entry


def test_entry_of_something_else_is_built_again_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    content = json.loads((entry / "entry.json").read_text())
    content["key"]["device"] = "NVIDIA Orin"
    (entry / "entry.json").write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        cached(tmp_path, KEY, write_engine)
    assert "built for something else" in caplog.text


def test_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write_engine(folder)
        raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        cached(tmp_path, KEY, fail)
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


def _build_slowly(root: Path, barrier: object, log: Path) -> None:
    def build(folder: Path) -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        for index in range(50):
            (folder / f"part{index}").write_bytes(os.urandom(100_000))

    barrier.wait()  # type: ignore[attr-defined]
    cached(root, KEY, build)


def test_two_processes_at_once_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    log = tmp_path / "log"
    processes = [context.Process(target=_build_slowly, args=(tmp_path / "cache", barrier, log)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(log.read_text().splitlines()) == 1
    assert len(list(cached(tmp_path / "cache", KEY, never).glob("part*"))) == 50


WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_cache import KEY
from flashocc_ros.engine.store.cache import cached

def build(folder):
    (folder / "engine.bin").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(600)

cached(Path(sys.argv[1]), KEY, build)
"""


def test_killed_writer_leaves_no_entry_and_no_lock(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait(30)
    with caplog.at_level(logging.WARNING):
        entry = cached(tmp_path, KEY, write_engine)
    assert (entry / "engine.bin").read_bytes() == b"engine"
    assert "left by a process that was killed" in caplog.text
    assert not list(tmp_path.glob(".*.tmp"))


FULL_DISK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_cache import KEY
from flashocc_ros.engine.store.cache import cached
from flashocc_ros.errors import EngineError

try:
    cached(Path(sys.argv[1]), KEY, lambda folder: (folder / "engine.bin").write_bytes(bytes(4_000_000)))
except EngineError as error:
    print(error)
"""


def _limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def _write_in_child(root: Path, **popen: object) -> str:
    command = [sys.executable, "-c", FULL_DISK, str(root), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, **popen)  # type: ignore[call-overload]
    return str(done.stdout)


def test_refused_write_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    assert "free some space or set cache_dir" in _write_in_child(tmp_path, preexec_fn=_limit_file_size)
    assert not [p for p in tmp_path.iterdir() if not p.name.endswith(".lock")]


def test_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting a small tmpfs needs privileges; the refused write above takes its place")
    try:
        message = _write_in_child(disk)
        assert "No space left on device" in message
        assert "free some space or set cache_dir" in message
        assert not [p for p in disk.iterdir() if not p.name.endswith(".lock")]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    "put", [lambda p, other: p.write_text("x"), lambda p, other: p.symlink_to("nowhere"), Path.symlink_to],
    ids=["file", "dangling-link", "link-to-a-foreign-folder"],
)  # fmt: skip
def test_what_is_no_folder_is_replaced_and_nothing_behind_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, put: Callable[[Path, Path], object]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").touch()
    put(tmp_path / KEY.folder_name, other)
    assert found(tmp_path, KEY) is None
    entry = cached(tmp_path, KEY, write_engine)
    assert (entry / "engine.bin").read_bytes() == b"engine"
    assert not entry.is_symlink()
    assert (other / "precious").exists()
    assert "building it again" in caplog.text


def test_a_sound_entry_stays_when_its_successor_fails(tmp_path: Path) -> None:
    entry = cached(tmp_path, KEY, write_engine)

    def fail(folder: Path) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        cached(tmp_path, KEY, fail, replace=True)
    assert cached(tmp_path, KEY, never) == entry


def test_a_successor_takes_the_place_of_the_entry(tmp_path: Path) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    cached(tmp_path, KEY, lambda folder: (folder / "engine.bin").write_bytes(b"better") and None, replace=True)
    assert (cached(tmp_path, KEY, never) / "engine.bin").read_bytes() == b"better"
    assert [p for p in tmp_path.iterdir() if p.suffix != ".lock"] == [entry]


def test_a_process_short_of_open_files_does_not_call_an_entry_damaged(tmp_path: Path) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(EngineError, match=r"cannot read .* now \(Too many open files\)"):
            cached(tmp_path, KEY, never)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert cached(tmp_path, KEY, never) == entry


def test_a_stuck_process_is_named_and_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    monkeypatch.setattr(cache, "LOCK_WAIT_S", 0.2)
    try:
        with pytest.raises(EngineError, match=rf"process {writer.pid} has held .*\.lock for .*; end it"):
            cached(tmp_path, KEY, never)
    finally:
        writer.kill()
        writer.wait(30)


def test_use_is_marked_for_pruning(tmp_path: Path) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    for use in (lambda: cached(tmp_path, KEY, never), lambda: found(tmp_path, KEY)):
        os.utime(entry / "entry.json", (0, 0))
        use()
        assert (entry / "entry.json").stat().st_mtime > 0


@pytest.mark.parametrize(("mode", "warnings"), [(0o777, 1), (0o755, 0)])
def test_a_folder_that_others_can_write_to_is_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warnings: int
) -> None:
    tmp_path.chmod(mode)
    for _ in range(2):
        cached(tmp_path, KEY, write_engine)
    assert caplog.text.count("others can write to") == warnings


def test_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="set cache_dir"):
        cached(tmp_path / "file" / "cache", KEY, write_engine)


@pytest.mark.parametrize(
    ("root", "words"),
    [("a\0b", "null byte"), ("a" * 5000, "File name too long"), ("~no_such_user_there/x", "home directory")],
)
def test_a_folder_that_no_folder_can_be_is_one_clear_error(root: str, words: str) -> None:
    with pytest.raises(EngineError, match=rf"cannot use the engine cache .*{words}"):
        cached(Path(root), KEY, write_engine)


@pytest.mark.parametrize("files", ["{}", "[" * 100_000])
def test_an_entry_that_does_not_list_what_it_holds_is_built_again(tmp_path: Path, files: str) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    content = json.dumps({"key": KEY.as_dict(), "files": 0}).replace('"files": 0', f'"files": {files}')
    (entry / "entry.json").write_text(content)
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        write_engine(folder)

    assert cached(tmp_path, KEY, build) == entry
    assert len(built) == 1


def test_an_entry_that_lists_and_holds_nothing_is_built_again(tmp_path: Path) -> None:
    entry = cached(tmp_path, KEY, write_engine)
    (entry / "engine.bin").unlink()
    (entry / "entry.json").write_text(json.dumps({"key": KEY.as_dict(), "files": {}}))
    cached(tmp_path, KEY, write_engine)
    assert (entry / "engine.bin").read_bytes() == b"engine"
