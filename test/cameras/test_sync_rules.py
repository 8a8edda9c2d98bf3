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

"""What the synchroniser does with stamps that are wrong, repeated, late or from another round of a recording."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from flashocc_ros.cameras.sync import AnchorSynchronizer, ImageSet
from flashocc_ros.errors import ConfigError

THREE = ("left", "front", "right")
MS = 1_000_000
S = 1_000_000_000


def trigger(sync: AnchorSynchronizer[str], key_ns: int, skip: tuple[str, ...] = (), now_ns: int = 0) -> list[ImageSet]:
    """All cameras fire at ``key_ns``, ``key_ns + 10 ms``, ``key_ns + 20 ms`` and arrive at once."""
    sets = []
    for index, name in enumerate(sync.cameras):
        if name not in skip:
            sets += sync.add(name, key_ns + index * 10 * MS, f"{name}@{key_ns}", (now_ns or key_ns) + index)
    return sets


def locked(missing: str = "drop", **arguments: object) -> AnchorSynchronizer[str]:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, missing=missing, **arguments)  # type: ignore[arg-type]
    for index in range(6):
        trigger(sync, 100 * S + index * 100 * MS)
    assert sync.locked
    return sync


def test_a_set_comes_with_its_last_image_and_in_the_order_of_the_cameras() -> None:
    sync = locked()
    key = 101 * S
    assert sync.add("right", key + 20 * MS, "R", key) == []
    assert sync.add("left", key, "L", key) == []
    (only,) = sync.add("front", key + 10 * MS, "F", key)
    assert only.items == ("L", "F", "R")
    assert only.stamps_ns == (key, key + 10 * MS, key + 20 * MS)
    assert only.key_stamp_ns == key
    assert only.spread_ns == 20 * MS


def test_offsets_and_period_are_learned() -> None:
    sync = locked()
    assert sync.period_s == pytest.approx(0.1)
    assert sync.offsets_s == pytest.approx({"left": 0.0, "front": 0.01, "right": 0.02}, abs=1e-6)
    assert "100.0 ms" in sync.describe()


@pytest.mark.parametrize("stamp_ns", [0, -5])
def test_a_stamp_of_zero_is_rejected_and_counted(stamp_ns: int) -> None:
    sync = locked()
    assert sync.add("front", stamp_ns, "F", 101 * S) == []
    assert sync.counters["front"].rejected == 1
    assert len(trigger(sync, 101 * S)) == 1


def test_a_repeated_stamp_is_counted_and_changes_nothing() -> None:
    sync = locked()
    sync.add("front", 101 * S + 10 * MS, "F", 101 * S)
    sync.add("front", 101 * S + 10 * MS, "again", 101 * S)
    (only,) = trigger(sync, 101 * S, skip=("front",))
    assert only.items[1] == "F"
    assert sync.counters["front"].duplicate == 1


def test_an_incomplete_set_is_dropped_when_its_time_is_up() -> None:
    sync = locked(timeout_s=0.2)
    trigger(sync, 101 * S, skip=("right",))
    assert sync.next_deadline_ns() == 101 * S + 200 * MS
    assert sync.poll(101 * S + 199 * MS) == []
    assert sync.sets.incomplete == 0
    assert sync.poll(101 * S + 200 * MS) == []
    assert sync.sets.incomplete == 1
    assert sync.next_deadline_ns() is None
    assert sync.add("right", 101 * S + 20 * MS, "R", 101 * S + 201 * MS) == []
    assert sync.counters["right"].late == 1


def test_masking_hands_out_what_there_is_and_names_what_is_missing() -> None:
    sync = locked("mask", timeout_s=0.2)
    trigger(sync, 101 * S, skip=("right",))
    (only,) = sync.poll(101 * S + 200 * MS)
    assert only.items[2] is None
    assert only.missing == ("right",)
    assert only.stamps_ns[2] == pytest.approx(101 * S + 20 * MS, abs=MS)
    assert sync.sets.masked == 1


def test_masking_does_not_wait_for_a_camera_that_stalled() -> None:
    sync = locked("mask")
    for index in range(5):
        trigger(sync, 101 * S + index * 100 * MS, skip=("right",))
    (only,) = trigger(sync, 101 * S + 600 * MS, skip=("right",))
    assert only.missing == ("right",)


def test_a_camera_that_comes_back_is_masked_where_it_was_until_it_is_learned_again() -> None:
    sync = locked("mask")
    for index in range(20):
        trigger(sync, 101 * S + index * 100 * MS, skip=("right",))
    for index in range(2):
        key = 103 * S + index * 100 * MS
        (only,) = trigger(sync, key)
        assert only.missing == ("right",)
        assert only.stamps_ns[2] == pytest.approx(key + 20 * MS, abs=MS)


def test_masking_waits_for_all_cameras_after_a_long_pause_of_all() -> None:
    """A replay that waits for answers pauses for seconds; no camera is stalled because of that."""
    sync = locked("mask")
    sets = trigger(sync, 100 * S + 600 * MS, now_ns=200 * S)
    assert [each.missing for each in sets] == [()]


def test_without_the_anchor_there_is_no_set() -> None:
    sync = locked("mask")
    assert [trigger(sync, 101 * S + index * 100 * MS, skip=("left",)) for index in range(5)] == [[]] * 5
    assert len(trigger(sync, 101 * S + 500 * MS)) == 1


def test_an_older_incomplete_set_is_skipped_for_a_newer_complete_one() -> None:
    sync = locked()
    trigger(sync, 101 * S, skip=("front",))
    (newer,) = trigger(sync, 101 * S + 100 * MS)
    assert newer.key_stamp_ns == 101 * S + 100 * MS
    assert sync.sets.skipped == 1
    assert sync.add("front", 101 * S + 10 * MS, "F", 101 * S + 130 * MS) == []
    assert sync.counters["front"].late == 1


def test_a_jump_back_in_time_forgets_everything_and_opens_a_new_epoch() -> None:
    sync = locked()
    before = trigger(sync, 101 * S)[0].epoch
    sync.add("front", 101 * S + 110 * MS, "waits", 101 * S)
    sets = []
    for index in range(8):
        sets += trigger(sync, 50 * S + index * 100 * MS, now_ns=102 * S + index * 100 * MS)
    assert sync.sets.resets == 1
    assert {each.epoch for each in sets} == {before + 1}
    assert len(sets) == 8  # those during learning come out with the lock


def test_a_short_looped_recording_is_no_repetition_of_stamps() -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE)
    sets = []
    for loop in range(3):
        for index in range(3):
            now = (200 + 2 * loop) * S + index * 500 * MS
            sets += sync.poll(now)
            sets += trigger(sync, 100 * S + index * 500 * MS, now_ns=now)
        sets += sync.poll(now + S)
    assert len(sets) == 9
    assert sync.sets.resets == 2
    assert all(counters.duplicate == 0 for counters in sync.counters.values())


def test_queues_are_bounded_while_nothing_can_be_matched() -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, queue_size=5)
    for index in range(100):
        trigger(sync, 100 * S + index * 100 * MS, skip=("left",))
    assert sync.waiting("front") == 5
    assert sync.counters["front"].dropped == 95
    assert "left" in sync.describe()


def test_a_first_burst_is_a_set_once_the_streams_are_silent() -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, timeout_s=0.2)
    assert trigger(sync, 100 * S) == []
    deadline = sync.next_deadline_ns()
    assert deadline == 100 * S + 200 * MS + 2
    (only,) = sync.poll(deadline)
    assert only.items == tuple(f"{name}@{100 * S}" for name in THREE)


def test_a_replay_that_waits_for_each_answer_loses_no_set() -> None:
    """Shutters sweep through the whole period and the next trigger is played when the last was answered."""
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, timeout_s=0.2)
    now = 0
    for index in range(20):
        sets = []
        for camera, name in enumerate(THREE):
            now += MS
            sets += sync.add(name, 100 * S + index * 83 * MS + camera * 40 * MS, name, now)
        while not sets:
            deadline = sync.next_deadline_ns()
            assert deadline is not None, f"set {index} would never come"
            now = deadline
            sets = sync.poll(now)
        assert len(sets) == 1
        now += S
    assert sync.sets.complete == 20


def test_a_silent_start_in_the_middle_of_a_sweep_is_no_set() -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE, timeout_s=0.2)
    sync.add("front", 100 * S + 40 * MS, "old", 1)
    sync.add("left", 100 * S + 100 * MS, "new", 1)
    sync.add("right", 100 * S + 80 * MS, "old", 1)
    assert sync.next_deadline_ns() == 1 + 200 * MS
    assert sync.poll(S) == []
    assert sync.next_deadline_ns() is None  # and no timer spins on it


def test_a_camera_that_comes_back_with_another_delay_is_learned_again() -> None:
    sync = locked()
    for index in range(20):
        trigger(sync, 101 * S + index * 100 * MS, skip=("right",))
    sets = []
    for index in range(20):
        key = 104 * S + index * 100 * MS
        sets += trigger(sync, key, skip=("right",))
        sets += sync.add("right", key + 35 * MS, f"right@{key}", key)
    assert len(sets) >= 16
    assert all(len({item.split("@")[1] for item in each.items}) == 1 for each in sets)
    assert sync.offsets_s["right"] == pytest.approx(0.035, abs=1e-3)


def test_a_camera_that_comes_back_far_from_its_old_phase_is_placed_anew() -> None:
    """At 70 of 100 ms after one trigger it is now 30 ms before the next, the tighter burst."""
    sync = locked()
    for index in range(11):
        trigger(sync, 101 * S + index * 100 * MS, skip=("right",))
    sets = []
    for index in range(20):
        key = 103 * S + 100 * MS + index * 100 * MS
        sets += trigger(sync, key, skip=("right",))
        sets += sync.add("right", key + 70 * MS, "R", key)
    assert len(sets) >= 18
    assert {each.stamps_ns[2] - each.key_stamp_ns for each in sets} == {-30 * MS}


def test_another_frame_rate_is_learned() -> None:
    sync = locked()
    sets = []
    for index in range(100):
        sets += trigger(sync, 101 * S + index * 40 * MS)
    assert all(len({item.split("@")[1] for item in each.items}) == 1 for each in sets)
    assert len(sets) > 50
    assert sync.period_s == pytest.approx(0.04, rel=0.01)


def test_a_camera_twice_as_fast_gives_its_image_nearest_to_the_anchor() -> None:
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(("slow", "fast"))
    sets = []
    for index in range(60):
        stamp = 100 * S + index * 50 * MS
        sets += sync.add("fast", stamp + 5 * MS, index, stamp)
        if index % 2 == 0:
            sets += sync.add("slow", stamp, index, stamp)
    assert len(sets) > 20
    assert all(each.items[0] == each.items[1] for each in sets)


@pytest.mark.parametrize("missing", ["drop", "mask"])
def test_a_set_that_two_images_of_a_camera_claim_takes_no_third(missing: str) -> None:
    sync = locked(missing)
    key = 101 * S
    sync.add("left", key, "L", key)
    for delay_ms in (10, 30, 50):  # the process stood still, and all of a camera that became faster comes at once
        sync.add("front", key + delay_ms * MS, f"F +{delay_ms}", key)
    sets = sync.add("right", key + 20 * MS, "R", key) + sync.poll(key + S)
    assert [each.items for each in sets] == ([("L", None, "R")] if missing == "mask" else [])


def test_a_camera_that_just_became_faster_lends_no_image_to_the_next_set() -> None:
    sync = locked()
    key = 101 * S
    trigger(sync, key)
    for delay_ms in (30, 50, 70):
        sync.add("front", key + delay_ms * MS, f"F +{delay_ms}", key + 100 * MS)
    following = key + 100 * MS  # whose own image of this camera is still on its way
    assert sync.add("left", following, "L", following) + sync.add("right", following + 20 * MS, "R", following) == []
    (only,) = sync.add("front", following + 10 * MS, "F", following)
    assert only.items == ("L", "F", "R")


def test_images_of_a_camera_that_became_faster_do_not_stand_in_for_one_that_is_lost() -> None:
    sync = locked()
    sets = []
    for index in range(10, 40):
        key = 100 * S + index * 100 * MS
        sets += sync.add("left", key, str(key), key)
        for step in range(5):
            if step or index % 4:
                stamp_ns = key + (10 + 20 * step) * MS
                sets += sync.add("front", stamp_ns, f"{key if step == 0 else 'between'}", stamp_ns)
            if step == 3:  # after images that are near enough for a camera as fast as the others
                sets += sync.add("right", key + 20 * MS, str(key), key + 75 * MS)
    assert all(each.items == (str(each.key_stamp_ns),) * 3 for each in sets)
    assert len(sets) > 15


def test_a_camera_with_another_clock_is_named() -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(THREE)
    for index in range(10):
        key = 100 * S + index * 100 * MS
        trigger(sync, key, skip=("front",))
        sync.add("front", key + 3600 * S, "F", key)
    assert "front" in sync.describe()
    assert "+3600.0 s" in sync.describe()


def test_one_camera_needs_no_partner() -> None:
    sync: AnchorSynchronizer[str] = AnchorSynchronizer(["front"])
    (only,) = sync.add("front", 5, "F", 0)
    assert only.items == ("F",)


def test_counters_add_up() -> None:
    sync = locked()
    trigger(sync, 101 * S, skip=("front",))
    trigger(sync, 101 * S + 100 * MS)
    trigger(sync, 101 * S + 200 * MS, skip=("left",))
    for name, counted in sync.counters.items():
        ended = counted.used + counted.late + counted.dropped + counted.rejected + counted.duplicate
        assert counted.received == ended + sync.waiting(name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cameras": []}, "at least one"),
        ({"cameras": ["a", "a"]}, "distinct"),
        ({"anchor": "roof"}, "roof"),
        ({"offsets_s": {"roof": 0.1}}, "roof"),
        ({"offsets_s": {"left": 0.1}}, "anchor left"),
        ({"missing": "guess"}, "guess"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"queue_size": 0}, "queue_size is 0"),
        ({"max_backward_s": -1.0}, "max_backward_s is -1"),
    ],
)
def test_unusable_arguments_are_named(arguments: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AnchorSynchronizer(**{"cameras": THREE, **arguments})


@pytest.mark.data
def test_every_key_frame_of_the_real_recording_is_one_set(shared_dir: Path) -> None:
    from rosbags.highlevel import AnyReader

    folder = shared_dir / "data" / "nuscenes_frame_scene0003_rosbag2"
    if not folder.is_dir():
        pytest.skip(f"no recording in {folder}")
    cameras = ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"]
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(cameras)
    sets: list[ImageSet[int]] = []
    with AnyReader([folder]) as reader:
        connections = [each for each in reader.connections if each.topic.endswith("/image_rect_compressed")]
        for connection, arrival_ns, data in reader.messages(connections):
            stamp = reader.deserialize(data, connection.msgtype).header.stamp
            name = connection.topic.split("/")[1]
            sets += sync.poll(arrival_ns)
            sets += sync.add(name, stamp.sec * S + stamp.nanosec, 0, arrival_ns)
    sets += sync.poll(arrival_ns + S)
    assert len(sets) == 3
    assert all(each.missing == () and each.spread_ns < 50 * MS for each in sets)
    assert [b.key_stamp_ns - a.key_stamp_ns for a, b in itertools.pairwise(sets)] == [500 * MS] * 2
