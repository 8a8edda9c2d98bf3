"""The selectable message_filters policy, with the real message_filters where it is installed."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("message_filters")
from sensor_msgs.msg import Image

from flashocc_ros.ros.approximate import ApproximateSynchronizer
from flashocc_ros.ros.stamps import make_header

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def synchronizer() -> ApproximateSynchronizer[Image]:
    return ApproximateSynchronizer(["a", "b"], "b", slop_s=0.02, queue_size=10, max_backward_s=1.0)


def add(synchronizer: ApproximateSynchronizer[Image], camera: str, stamp_ns: int) -> list:
    return synchronizer.add(camera, stamp_ns, Image(header=make_header("", stamp_ns)), 0)


def test_images_within_the_slop_become_a_set_with_the_anchor_stamp(synchronizer: ApproximateSynchronizer[Image]):
    assert add(synchronizer, "a", START_NS) == []
    (images,) = add(synchronizer, "b", START_NS + 10 * MS)
    assert images.key_stamp_ns == START_NS + 10 * MS
    assert images.stamps_ns == (START_NS, START_NS + 10 * MS)
    assert synchronizer.sets.complete == 1
    assert synchronizer.counters["a"].used == 1


def test_images_beyond_the_slop_do_not(synchronizer: ApproximateSynchronizer[Image]):
    add(synchronizer, "a", START_NS)
    assert add(synchronizer, "b", START_NS + 30 * MS) == []


def test_stamps_that_go_back_start_over(synchronizer: ApproximateSynchronizer[Image]):
    add(synchronizer, "a", START_NS + 5_000 * MS)
    add(synchronizer, "a", START_NS)
    assert synchronizer.epoch == 1
    (images,) = add(synchronizer, "b", START_NS)
    assert images.stamps_ns == (START_NS, START_NS)


def test_a_stamp_of_zero_is_rejected(synchronizer: ApproximateSynchronizer[Image]):
    assert add(synchronizer, "a", 0) == []
    assert synchronizer.counters["a"].rejected == 1
