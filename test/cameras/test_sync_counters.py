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

"""Whatever comes, each image is counted once: the books of the synchroniser balance."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashocc_ros.cameras.sync import AnchorSynchronizer

CAMERAS = ("left", "front", "right")
MS = 1_000_000
S = 1_000_000_000
START_NS = 1_795_871_000 * S


def check(sync: AnchorSynchronizer[int]) -> None:
    for name, counted in sync.counters.items():
        ended = counted.used + counted.late + counted.dropped + counted.rejected + counted.duplicate
        assert counted.received == ended + sync.waiting(name), (name, counted, sync.waiting(name))


steps = st.lists(
    st.one_of(
        st.tuples(  # an image: camera, trigger, jitter in ms, latency in ms
            st.just("image"),
            st.integers(0, 2),
            st.integers(0, 60),
            st.sampled_from([0, 0, 0, 3, -20, 45]),
            st.integers(0, 200),
        ),
        st.tuples(st.just("drive"), st.integers(1, 12), st.integers(0, 2), st.booleans(), st.just(0)),
        st.tuples(st.just("back"), st.sampled_from([200, 700, 2000, 10_000]), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("poll"), st.integers(0, 3000), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("zero"), st.integers(0, 2), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("reset"), st.just(0), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("missing", ["drop", "mask"])
@pytest.mark.parametrize("cameras", [1, 2, 3])
@settings(max_examples=150, deadline=None)
@given(steps=steps, queue_size=st.sampled_from([2, 16, 200]), configured=st.booleans())
def test_every_image_is_counted_once(
    missing: str, cameras: int, steps: list, queue_size: int, configured: bool
) -> None:
    names = CAMERAS[:cameras]
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(
        names,
        missing=missing,  # type: ignore[arg-type]
        queue_size=queue_size,
        offsets_s={name: 0.01 * index for index, name in enumerate(names)} if configured else None,
        say=lambda sentence: None,
    )
    handed_out, start_ns, now_ns = dict.fromkeys(names, 0), START_NS, 0

    def take(sets: list) -> None:
        for each in sets:
            for name in names:
                handed_out[name] += name not in each.missing

    for kind, first, second, third, fourth in steps:
        if kind == "image":
            name = names[first % cameras]
            now_ns += fourth * MS
            take(sync.add(name, start_ns + second * 100 * MS + third * MS, 1, now_ns))
        elif kind == "drive":
            for trigger in range(first):
                for index, name in enumerate(names):
                    now_ns += 30 * MS
                    if not (third and index == second):
                        take(sync.add(name, start_ns + trigger * 100 * MS + index * 10 * MS, 1, now_ns))
            start_ns += first * 100 * MS
        elif kind == "back":
            start_ns -= first * MS
        elif kind == "poll":
            now_ns += first * MS
            take(sync.poll(now_ns))
        elif kind == "zero":
            take(sync.add(names[first % cameras], 0, 1, now_ns))
        else:
            sync.reset()
        check(sync)
    assert handed_out == {name: counted.used for name, counted in sync.counters.items()}


def test_a_stamp_that_comes_again_while_its_image_still_waits_is_a_duplicate() -> None:
    """Long after 16 others, so that it is no longer among those remembered."""
    sync: AnchorSynchronizer[int] = AnchorSynchronizer(CAMERAS, queue_size=200)
    for number in [*range(40), 0]:
        sync.add("front", START_NS + number * 10 * MS, number, number)
    assert sync.counters["front"].duplicate == 1
    assert sync.waiting("front") == 40
    check(sync)
