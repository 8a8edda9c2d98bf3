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

"""Labels of a small scene: surfaces, free space, what moves, with boxes and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from labelling.label_scene import MOUNT_M, OWN, SHAPE, T0_NS, WALL_X_M, box_frame, cast, mounting, sweep, voxel

from flashocc_ros.labelling.boxes import BoxFrame, BoxHistory, assign
from flashocc_ros.labelling.clouds import Cloud
from flashocc_ros.labelling.quality import judge
from flashocc_ros.labelling.settings import Settings
from flashocc_ros.labelling.stream import Break, Key, LabelledKey, Labeller
from flashocc_ros.labelling.sweeps import make_sweep
from flashocc_ros.labels import CLASS_NAMES, FREE, OCC3D
from flashocc_ros.structures import OCC3D_GRID

SIZE = np.array([4.0, 2.0, 1.6])
KEY_AT = 10
CAR, ROAD, WALL = (CLASS_NAMES.index(n) for n in ("car", "driveable_surface", "manmade"))


def middle(number: int) -> np.ndarray:
    """A car 8 m ahead that crosses from right to left at 10 m/s and is straight ahead at the key frame."""
    return np.array([8.0, (number - KEY_AT) * 0.5, 0.9])


def labelled(has_boxes: bool, moves: bool = True, organised: bool = True, **settings: object) -> LabelledKey:
    labeller = Labeller(Settings(**settings), False, has_boxes)  # type: ignore[arg-type]
    events: list = []
    for number in range(21):
        where = middle(number if moves else KEY_AT)
        if has_boxes:
            events.append(box_frame(number, where, SIZE))
        if number == KEY_AT:
            events.append(Key(T0_NS + number * 50_000_000, np.eye(4)))
        events.append(sweep(number, [(where, SIZE)], organised))
    (result,) = labeller.run(events)
    return result


@pytest.fixture(scope="module")
def with_boxes() -> LabelledKey:
    return labelled(True)


def test_surfaces_are_occupied_and_what_rays_pass_is_free(with_boxes: LabelledKey) -> None:
    labels = with_boxes.labels
    assert labels.semantics[voxel(16.3, 5.0, 1.5)] == WALL
    assert labels.semantics[voxel(5.0, 5.0, 0.0)] == ROAD
    for place in ((5.0, 5.0, 1.0), (12.0, 3.0, 1.8)):
        assert labels.semantics[voxel(*place)] == FREE
        assert labels.observed[voxel(*place)]
    assert not labels.observed[voxel(20.0, 0.0, 1.5)]  # behind the wall


def test_a_box_that_moves_is_where_it_is_at_the_key_frame_and_nowhere_else(with_boxes: LabelledKey) -> None:
    labels = with_boxes.labels
    assert labels.semantics[voxel(6.1, 0.1, 1.1)] == CAR
    assert labels.instances[voxel(6.1, 0.1, 1.1)] == 7
    cars = np.argwhere(labels.semantics == CAR)
    y_m = cars[:, 1] * 0.4 - 39.8
    assert abs(y_m).max() < 1.3  # one car, 2 m wide: no trail along its way
    assert labels.observed[voxel(6.1, 3.0, 1.1)]
    assert labels.semantics[voxel(6.1, 3.0, 1.1)] == FREE


def test_inside_of_a_mover_is_not_free_though_rays_passed_there_at_other_times(with_boxes: LabelledKey) -> None:
    inside = with_boxes.labels
    assert not (inside.observed & (inside.semantics == FREE))[voxel(9.0, 0.1, 1.1)]


def test_a_box_that_stands_gets_all_sides_the_class_and_the_id() -> None:
    labels = labelled(True, moves=False).labels
    front = voxel(6.1, 0.1, 1.1)
    assert labels.semantics[front] == CAR
    assert labels.instances[front] == 7


def test_without_boxes_what_moved_leaves_no_trail_and_is_there_at_the_key_frame() -> None:
    labels = labelled(False).labels
    assert labels.semantics[voxel(6.1, 0.1, 1.1)] == WALL  # occupied, of no known class
    assert labels.guessed[voxel(6.1, 0.1, 1.1)]
    trail = [voxel(6.1, y, 1.1) for y in (-4.1, -3.3, 3.1, 3.9)]
    assert all(labels.semantics[v] == FREE and labels.observed[v] for v in trail)
    assert labels.semantics[voxel(16.3, 5.0, 1.5)] == WALL  # what stands, stays


def test_rays_without_return_see_free_space_of_organised_clouds_only() -> None:
    up = voxel(-20.0, 0.1, 3.5)  # above the horizon, where nothing is
    assert labelled(False).labels.observed[up]
    assert not labelled(False, organised=False).labels.observed[up]


def test_solid_takes_what_has_its_middle_inside() -> None:
    touch, solid = (labelled(True, moves=False, convention=c).labels for c in ("touch", "solid"))
    # The wall begins at x = 16.2, 0.2 m before the middle... of no voxel: 16.0 to 16.4 has its middle at 16.2.
    assert touch.semantics[voxel(16.2, 4.1, 1.5)] == WALL
    assert solid.semantics[voxel(16.2, 4.1, 1.5)] == WALL
    # The car reaches from 0.1 to 1.7 m: of the layer above, 1.4 to 1.8, it holds most, of the lowest little.
    assert (solid.semantics == CAR).sum() <= (touch.semantics == CAR).sum()


def test_after_a_jump_of_the_pose_sweeps_before_do_not_count() -> None:
    labeller = Labeller(Settings(), False, False)
    before = [sweep(n, [(np.array([8.0, 0.0, 0.9]), SIZE)]) for n in range(5)]
    after = [sweep(n, []) for n in range(5, 11)]
    key = Key(T0_NS + 8 * 50_000_000, np.eye(4))
    (result,) = labeller.run([*before, Break(), *after, key])
    assert result.labels.semantics[voxel(6.1, 0.1, 1.1)] == FREE


def test_a_window_with_too_many_rays_leaves_out_sweeps_evenly() -> None:
    limit = 8 * 48 * 540
    labeller = Labeller(Settings(max_rays=limit), False, False)
    key = Key(T0_NS + KEY_AT * 50_000_000, np.eye(4))
    (result,) = labeller.run([*[sweep(n, []) for n in range(21)], key])
    assert sum(s.rays for s in labeller._sweeps) <= limit
    assert result.labels.semantics[voxel(16.3, 5.0, 1.5)] == WALL


def test_a_long_drive_holds_no_more_than_a_window() -> None:
    labeller = Labeller(Settings(window_s=1.0), False, True)
    few = sweep(0, [])
    held, done = [], 0

    def events():
        for number in range(600):
            part = replace(few, start_ns=T0_NS + number * 50_000_000, end_ns=T0_NS + number * 50_000_000)
            yield box_frame(number, middle(number), SIZE)
            if number % 100 == 50:
                yield Key(part.start_ns, np.eye(4))
            yield part
            held.append((len(labeller._sweeps), len(labeller._unassigned), len(labeller._boxes)))

    for _ in labeller.run(events()):
        done += 1
    assert done == 6
    assert np.max(held, axis=0).max() < 100  # two seconds and what waits for boxes, at 20 per second


def test_between_beams_a_wall_goes_on() -> None:
    """Every third beam: at the wall they lie 0.63 m apart, voxels 0.4 m high."""
    points = cast([]).reshape(*SHAPE, 3)[::3]
    cloud = Cloud(points.reshape(-1, 3), None, None, points.shape[:2])
    few = make_sweep(cloud, T0_NS, lambda _: mounting(), mounting(), OWN, (1.0, 100.0))[0]
    (result,) = Labeller(Settings(), False, False).run([Key(T0_NS, np.eye(4)), few])
    at_wall = (np.abs(points[..., 0] - WALL_X_M) < 1e-3) & (np.abs(points[..., 1] - 0.2) < 0.2)
    heights = points[at_wall][:, 2] + MOUNT_M[2]
    layers = np.unique(np.floor((heights[heights > 1.0] + 1) / 0.4).astype(int))
    first, last = int(layers.min()), int(layers.max())
    assert len(layers) < last - first + 1  # a layer was missed by all beams
    column = voxel(WALL_X_M, 0.2, 0.0)[:2]
    assert (result.labels.semantics[column][first : last + 1] == WALL).all()


def test_things_that_passed_outside_of_boxes_leave_no_trail() -> None:
    """A car that its detector does not know; its points have their class, and another box stands elsewhere."""

    def cars(by_class: bool) -> np.ndarray:
        labeller = Labeller(Settings(), by_class, True)
        events: list = []
        for number in range(61):
            where = np.array([12.0, number - 48.0, 0.9])
            events.append(box_frame(number, np.array([-10.0, 10.0, 0.9]), SIZE))
            seen = sweep(number, [(where, SIZE)])
            hit = (np.abs(seen.ends + seen.anchor - where) < SIZE / 2 + 0.01).all(1)
            if by_class:
                seen.classes[:] = np.where(seen.ends[:, 2] + seen.anchor[2] < 0.05, ROAD, np.where(hit, CAR, WALL))
            events.append(seen)
        (result,) = labeller.run([*events, Key(events[-1].start_ns, np.eye(4))])
        above = (result.labels.semantics != FREE) & (result.labels.semantics != ROAD)
        place = -40 + (np.argwhere(above)[:, :2] + 0.5) * 0.4
        return place[(place[:, 0] > 9) & (place[:, 0] < 15)][:, 1]

    told, untold = cars(True), cars(False)
    assert (told > 10).sum() > 10  # where it is at the key frame: 11 to 13 m
    assert 5 * (np.abs(told) < 8).sum() < (np.abs(untold) < 8).sum()


def test_boxes_where_the_lidar_does_not_look_are_not_called_empty() -> None:
    ahead, behind = np.array([8.0, 0.0, 0.9]), np.array([-8.0, 0.0, 0.9])
    turn = sweep(0, [(ahead, SIZE)])
    boxes = BoxHistory()
    boxes.add(replace(box_frame(0, ahead, SIZE), **two(box_frame(0, ahead, SIZE), box_frame(0, behind, SIZE, 4, 8))))
    at = boxes.at(T0_NS)
    assign(turn, at, at)
    labels = labelled(True).labels
    assert judge(labels, None, [turn], at, np.eye(4), OCC3D_GRID, OCC3D).empty_boxes == 0.5
    forward = turn.ends[:, 0] > 0
    half = {name: getattr(turn, name)[forward] for name in ("ends", "knot", "kind", "classes", "times")}
    half |= {"owner": np.full(forward.sum(), -1, np.int32), "inside": np.zeros(forward.sum(), bool)}
    seen = replace(turn, **half)
    assign(seen, at, at)
    assert judge(labels, None, [seen], at, np.eye(4), OCC3D_GRID, OCC3D).empty_boxes == 0.0


def two(first: BoxFrame, second: BoxFrame) -> dict[str, np.ndarray]:
    names = ("ids", "classes", "poses", "sizes")
    return {name: np.concatenate([getattr(f, name) for f in (first, second)]) for name in names}


def test_poses_that_drift_show_as_a_shift_of_the_sweeps_at_the_key_frame() -> None:
    def drift_of(shift_m: float) -> float:
        events: list = []
        for number in range(41):
            seen = sweep(number, [(np.array([8.0, -6.0, 1.0]), np.array([2.0, 2.0, 2.0]))])
            events.append(replace(seen, anchor=seen.anchor + (shift_m if number > 20 else 0.0)))
        (result,) = Labeller(Settings(), False, False).run([Key(events[5].start_ns, np.eye(4)), *events])
        assert result.labels.drift_m is not None
        return result.labels.drift_m

    assert drift_of(0.0) < 0.01
    assert 0.05 < drift_of(0.15) < 0.2
