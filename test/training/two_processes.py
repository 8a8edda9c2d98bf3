"""Started by ``test_loop`` under torchrun: the run of two processes with one step each per iteration."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from street_source import StreetSource, tiny_config

from flashocc_ros.training.loop import train
from flashocc_ros.training.processes import worker_group

if __name__ == "__main__":
    torch.set_num_threads(1)
    with worker_group("cpu") as worker:
        train(tiny_config(), StreetSource(), Path(sys.argv[1]), worker, quiet=True)
