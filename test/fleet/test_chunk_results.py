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

"""Results of chunks, computed in any order and joined, are those of the uncut run, to the bit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from copy_work import until
from drive_bag import write_drive

from flashocc_ros import Predictor
from flashocc_ros.bags import BagReader, BagWriter, read_sets
from flashocc_ros.errors import InputError, OutputError
from flashocc_ros.fleet.chunk_runs import (
    CLAIMS,
    TRACE_FILE,
    RecordingPlan,
    in_chunks,
    join_chunks,
    plan_recording,
    predict_chunk,
    work_through,
)
from flashocc_ros.fleet.claims import take
from flashocc_ros.fleet.remarks import collected_remarks
from flashocc_ros.structures import Occupancy

VARIANT = "synthetic-tiny-4d"  # remembers, matches pictures with those before, follows objects


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 12 Hz; one set is lost, and of the one that the second chunk would begin with a picture."""
    folder = tmp_path_factory.mktemp("drive")
    source = write_drive(folder / "source", sets=24, period_ms=83, skip={(4, 1)})
    plan = plan_recording(source, VARIANT, 1.0)
    assert len(plan.chunks) == 2
    damaged_ns = plan.planned.sets[plan.chunks[1].warm].stamp_ns
    with BagReader(source) as reader, BagWriter(folder / "drive") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, topic.qos)
        for topic, stamp_ns, cdr in reader.messages():
            if topic.name == "/CAM_FRONT/image/compressed" and stamp_ns == damaged_ns:
                message = reader.deserialize(cdr, topic.type)
                message.data = message.data[:100]
                cdr = bytes(writer.types.serialize_cdr(message, topic.type))
            writer.write(topic.name, stamp_ns, cdr)
    return folder / "drive"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(VARIANT)


@pytest.fixture(scope="module")
def uncut(drive: Path, predictor: Predictor) -> list[Occupancy]:
    predictor.reset()
    return [predictor.predict(found) for found in read_sets(drive)]


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where results of chunks are; those that are there are not made again."""
    return tmp_path_factory.mktemp("chunks")


def content(result: Occupancy) -> tuple[object, ...]:
    assert result.instances is not None
    return result.stamp_ns, result.semantics.tobytes(), result.instances.tobytes(), result.centers


def run(predictor: Predictor, plan: RecordingPlan, folder: Path) -> tuple[RecordingPlan, int]:
    """All chunks, the last first, until they fit; and in how many rounds."""
    rounds = 0
    again: RecordingPlan | None = plan
    while again is not None:
        plan, rounds = again, rounds + 1
        for work in reversed(plan.works):
            predict_chunk(predictor, work, folder)
        again = plan.again(folder)
    return plan, rounds


def test_joined_chunks_are_the_uncut_run(
    drive: Path, predictor: Predictor, uncut: list[Occupancy], chunks: Path
) -> None:
    plan, rounds = run(predictor, plan_recording(drive, VARIANT, 1.0), chunks)
    joined = list(join_chunks(predictor, plan, chunks))
    assert rounds == 2  # the damaged picture is only found when it is decoded
    assert len(joined) == 24 - 2
    assert [content(one) for one in joined] == [content(one) for one in uncut]


def test_without_the_past_results_would_differ(
    drive: Path, predictor: Predictor, uncut: list[Occupancy], chunks: Path
) -> None:
    """Else the test above would show nothing."""
    plan = plan_recording(drive, VARIANT, 1.0)
    begun_late = replace(plan, chunks=(plan.chunks[0], replace(plan.chunks[1], warm=plan.chunks[1].first)))
    for work in begun_late.works:
        predict_chunk(predictor, work, chunks)
    joined = list(join_chunks(predictor, begun_late, chunks))
    first = plan.chunks[1].first
    assert any(one.semantics.tobytes() != other.semantics.tobytes() for one, other in zip(joined, uncut, strict=True))
    assert begun_late.again(chunks) is not None
    assert first > plan.chunks[1].warm


def test_a_chunk_that_another_has_in_work_is_left_to_him(
    drive: Path, predictor: Predictor, uncut: list[Occupancy], chunks: Path, tmp_path: Path
) -> None:
    """And what was said of it is said again where the chunks are joined."""
    plan, _ = run(predictor, plan_recording(drive, VARIANT, 1.0), chunks)
    last = plan.works[-1]
    with take(tmp_path / CLAIMS / last.name, "another"), ThreadPoolExecutor(1) as pool:
        told: list[int] = []

        def owner() -> tuple[list[Occupancy], list[str]]:
            with collected_remarks() as remarks:
                return list(in_chunks(predictor, plan, tmp_path, lambda done, total: told.append(done))), remarks

        joined = pool.submit(owner)
        until((tmp_path / plan.works[0].name / TRACE_FILE).exists)
        assert not joined.done()
        shutil.copytree(chunks / last.name, tmp_path / f".{last.name}")
        (tmp_path / f".{last.name}").rename(tmp_path / last.name)
        results, remarks = joined.result(60)
    assert [content(one) for one in results] == [content(one) for one in uncut]
    assert max(told) == plan.chunks[0].stop
    assert any("CAM_FRONT" in remark for remark in remarks)


def test_the_chunk_of_somebody_who_died_is_computed_here(drive: Path, predictor: Predictor, tmp_path: Path) -> None:
    plan = plan_recording(drive, VARIANT, 1.0)
    first = plan.works[0]
    code = (
        "import os, sys; from pathlib import Path; from flashocc_ros.fleet.claims import take;"
        "claim = take(Path(sys.argv[1]), 'dead'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / CLAIMS / first.name)])
    assert (tmp_path / CLAIMS / first.name).exists()
    done_here: set[str] = set()
    fitting = work_through(predictor, plan, tmp_path, lambda done, total: None, done_here)
    assert {work.name for work in fitting.works} <= done_here


def test_chunks_whose_folder_is_gone_are_given_up(drive: Path, predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="gone is gone; somebody else works on"):
        work_through(predictor, plan_recording(drive, VARIANT, 1.0), tmp_path / "gone", lambda done, total: None)
    assert not (tmp_path / "gone").exists()


def test_a_missing_chunk_is_named(drive: Path, predictor: Predictor, tmp_path: Path) -> None:
    plan = plan_recording(drive, VARIANT, 1.0)
    with pytest.raises(InputError, match=r"0000-0-0-\d+ is missing or damaged .* delete it and run again"):
        plan.again(tmp_path)
