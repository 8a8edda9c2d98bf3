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

"""What tools see of the parameters: all have a value, in one call and in `ros2 param dump` where that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")
from rcl_interfaces.srv import GetParameters, ListParameters


def test_all_names_in_one_call_give_as_many_values(start_node: Callable[..., Any], make_feeder: Callable[..., Any]):
    start_node(autostart=False)  # sync.offsets_s is a list without an entry
    feeder = make_feeder()
    listed = feeder.call(ListParameters, "/flashocc_node/list_parameters", ListParameters.Request())
    names = list(listed.result.names)
    answer = feeder.call(GetParameters, "/flashocc_node/get_parameters", GetParameters.Request(names=names))
    assert len(names) > 60
    assert len(answer.values) == len(names)
    assert all(value.type for value in answer.values)


@pytest.mark.skipif(shutil.which("ros2") is None, reason="ros2cli is not installed")
def test_ros2_param_dump_prints_them_all(start_node: Callable[..., Any]):
    node = start_node(autostart=False)
    command = ["ros2", "param", "dump", "--no-daemon", "--spin-time", "5", "/flashocc_node"]
    dump = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ, check=False)
    assert dump.returncode == 0, dump.stderr
    tree = yaml.safe_load(dump.stdout)["/flashocc_node"]["ros__parameters"]
    assert tree["cameras"]["names"] == ["front", "back"]
    assert tree["sync"]["offsets_s"] == []
    assert tree["grid"]["costs"]["car"] == node.node.get_parameter("grid.costs.car").value
