"""A seeded synthetic world with exact ground truth, made to train and to demonstrate without any download."""

from __future__ import annotations

from flashocc_ros.data.synthetic.cache import FrameCache, write_cache
from flashocc_ros.data.synthetic.dataset import NetworkFrame, SyntheticDataset
from flashocc_ros.data.synthetic.drive import Drive, KeyFrame, Pictures, Truth
from flashocc_ros.data.synthetic.rig import SyntheticRig, load_rig, nuscenes_like_rig
from flashocc_ros.data.synthetic.world import Boxes, World

__all__ = [
    "Boxes",
    "Drive",
    "FrameCache",
    "KeyFrame",
    "NetworkFrame",
    "Pictures",
    "SyntheticDataset",
    "SyntheticRig",
    "Truth",
    "World",
    "load_rig",
    "nuscenes_like_rig",
    "write_cache",
]
