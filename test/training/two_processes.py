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
