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

"""Results on disk as frames of the page: recordings, folders of ``flashocc predict``, single files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from flashocc_ros.bags.files import is_recording
from flashocc_ros.bags.results import (
    OCCUPANCY_TYPE,
    TRUTH_TYPE,
    ResultFrame,
    Truth,
    count_results,
    network_facts,
    read_results,
    read_truths,
    recorded_classes,
    weights_note,
)
from flashocc_ros.cameras.camera_set import CameraSet
from flashocc_ros.data.predicted import Predicted, read_predicted
from flashocc_ros.errors import BagError, FlashOccError, InputError
from flashocc_ros.labels import OCC3D, ClassTable
from flashocc_ros.remote import Location, only_local
from flashocc_ros.structures import Occupancy
from flashocc_ros.view.frame import Layer, Report, ViewFrame, frame_of, shots_of
from flashocc_ros.viz.array_files import read_arrays, stored_names

DEMO_RESULT = "result"
"""Folder of the recording in what ``flashocc demo`` leaves."""


@dataclass(frozen=True)
class Source:
    """Results on disk.

    Attributes:
        title: for people.
        note: a warning, empty for none.
        total: number of frames.
        frames: reads them in order of time.
        classes: what their ids mean.
    """

    title: str
    note: str
    total: int
    frames: Callable[[], Iterator[ViewFrame]]
    classes: ClassTable = OCC3D


def written(source: Source, limit: int, progress: Callable[[int], None], purpose: str = "write") -> Iterator[ViewFrame]:
    """At most ``limit`` frames (0 is all) on their way into a file; ``progress`` hears how many are done.

    Raises:
        InputError: there is none.
        FlashOccError: the source cannot be read.
    """
    done = 0
    for frame in islice(source.frames(), limit or None):
        yield frame
        done += 1
        progress(done)
    if not done:
        raise InputError(f"{source.title} holds no frame to {purpose}; record the node's occupancy topic")


def open_source(path: Location, pictures: bool = True) -> Source:
    """What a path holds.

    Raises:
        BagError: a recording cannot be read or holds neither results nor truth.
        InputError: nothing is there that could be shown.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give a result recording or a folder of `flashocc predict`")
    if path.is_dir() and not is_recording(path) and is_recording(path / DEMO_RESULT):
        path = path / DEMO_RESULT
    if is_recording(path):
        return _recording(path, pictures)
    path = only_local(path, "what is no recording")
    files = [path] if path.is_file() else sorted(path.glob("*.npz"), key=_stamp_of)
    if not files:
        raise InputError(
            f"{path} holds no recording and no .npz; give what `flashocc demo` or `flashocc predict` wrote"
        )
    made = None if path.is_file() else read_predicted(path)
    stored = files[0]
    classes = Occupancy.load(stored).classes if "class_table" in stored_names(stored) else OCC3D
    if made is None:
        return Source(path.name, "", len(files), lambda: _files(files, classes), classes)
    title = "  ".join(filter(None, (path.resolve().name, made.variant)))
    return Source(title, made.note, len(files), lambda: _predicted(files, classes, made, pictures), classes)


def _recording(path: Location, pictures: bool) -> Source:
    facts = network_facts(path)
    count, classes = count_results(path), recorded_classes(path)
    name = path.name
    if isinstance(path, Path) and name == DEMO_RESULT:
        name = path.resolve().parent.name
    if count:
        note = weights_note(path, facts)
        values = {key: facts[key] for key in ("variant", "runs_on") if facts.get(key)}
        report = Report(values=values)
        title = "  ".join(filter(None, (name, facts.get("variant", ""))))
        return Source(title, note, count, lambda: _results(path, report, pictures), classes)
    truths = count_results(path, TRUTH_TYPE)
    note = f"no {OCCUPANCY_TYPE.rpartition('/')[2]} recorded: this is the ground truth"
    return Source(name, note, truths, lambda: (_truth(*found) for found in read_truths(path, pictures)), classes)


def _results(path: Location, report: Report, pictures: bool) -> Iterator[ViewFrame]:
    """Voxels are shown also where the pictures cannot be used, with the reason."""
    shown = False
    try:
        for result in read_results(path, pictures, keep_jpeg=True):
            yield _result(result, report)
            shown = True
    except BagError as error:
        if shown or not pictures:
            raise
        yield from _results(path, Report("warn", f"without pictures: {error}", report.values), False)


def _result(result: ResultFrame, report: Report) -> ViewFrame:
    cameras, truth = result.cameras, result.truth
    return ViewFrame(
        result.stamp_ns,
        Layer(result.semantics, result.instances, result.objects),
        None if truth is None else Layer(truth.semantics, truth.instances),
        None if truth is None else truth.mask_camera,
        () if cameras is None else shots_of(cameras),
        None if cameras is None else cameras.key_pose,
        report,
        result.grid,
        result.classes,
    )


def _truth(stamp_ns: int, truth: Truth, cameras: CameraSet | None) -> ViewFrame:
    return ViewFrame(
        stamp_ns,
        None,
        Layer(truth.semantics, truth.instances),
        truth.mask_camera,
        () if cameras is None else shots_of(cameras),
        None if cameras is None else cameras.key_pose,
        grid=truth.grid,
        classes=truth.classes,
    )


def _stamp_of(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdecimal() else 0, path.name)


def _predicted(files: list[Path], classes: ClassTable, made: Predicted, pictures: bool) -> Iterator[ViewFrame]:
    """Files of ``flashocc predict`` with the pictures they were made from, where these are still there."""
    values = {"variant": made.variant, "runs_on": made.runs_on}
    report = Report(values=values)
    sets: Iterator[CameraSet] = iter(())
    following: CameraSet | None = None

    def at(stamp_ns: int) -> CameraSet | None:
        """The set of this stamp; both come in the order of time."""
        nonlocal following, report
        try:
            while following is None or following.stamp_ns < stamp_ns:
                following = next(sets)
        except StopIteration:
            return None
        except FlashOccError as error:
            following, report = None, Report("warn", f"without pictures: {error}", values)
            return None
        return following if following.stamp_ns == stamp_ns else None

    if pictures:
        try:
            sets = iter(made.sets()[0])
        except FlashOccError as error:
            report = Report("warn", f"without pictures: {error}", values)
    for frame in _files(files, classes):
        cameras = at(frame.stamp_ns)
        shots, pose = ((), None) if cameras is None else (shots_of(cameras), cameras.key_pose)
        told = replace(report, values={**report.values, **frame.report.values})
        yield replace(frame, shots=shots, odom_from_base=pose, report=told)


def _files(paths: list[Path], classes: ClassTable) -> Iterator[ViewFrame]:
    """NPZ files in the order they are shown; all have the classes of the first."""
    for path in paths:
        frame = _file(path)
        if not frame.classes.same_ids(classes):
            raise InputError(f"{path} has other classes than {paths[0].name} beside it; show them apart")
        yield frame


def _file(path: Path) -> ViewFrame:
    """A file of ``Occupancy.save``, which names its stages, or another NPZ with ``semantics`` and perhaps ``truth``."""
    if "stage" in stored_names(path):
        return frame_of(Occupancy.load(path))
    arrays, grid = read_arrays(path)
    truth = arrays.get("truth")
    return ViewFrame(
        _stamp_of(path)[0],
        Layer(arrays["semantics"], arrays.get("instances")),
        None if truth is None else Layer(truth, arrays.get("truth_instances")),
        grid=grid,
    )
