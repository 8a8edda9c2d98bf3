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

"""Checks of the machine and the installation; each function looks at one thing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from flashocc_ros import weights
from flashocc_ros.cli.doctor_findings import Finding
from flashocc_ros.engine_names import ENGINES
from flashocc_ros.variants import VARIANTS
from flashocc_ros.version import __version__

MIN_SHM_BYTES = 128 << 20
MIN_CACHE_BYTES = 2 << 30

# Import name -> distributions that provide it, and what it is for.
_LIBRARIES = {
    "torch": (("torch",), "reference engine, training, export"),
    "openvino": (("openvino",), "fastest engine on a CPU"),
    "onnxruntime": (("onnxruntime", "onnxruntime-gpu"), "engine on any CPU"),
    "tensorrt": (("tensorrt", "tensorrt-cu12", "tensorrt-cu13"), "engine on NVIDIA GPUs"),
    "tensorrt_rtx": (("tensorrt-rtx", "tensorrt-rtx-cu12"), "checks TensorRT graphs without a GPU"),
}


def check() -> list[Finding]:
    """Every finding about this machine, in reading order."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        _python,
        _ros,
        _messages,
        _engines,
        _cache,
        _shared_memory,
        _weights,
    )
    return [finding for run in checks for finding in run()]


def _python() -> list[Finding]:
    version = platform.python_version()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    findings = [Finding("info", "flashocc_ros", f"{__version__} at {Path(weights.__file__).parents[1]}")]
    return [*findings, Finding("ok", "python", f"{version} on {machine}")]


def _ros() -> list[Finding]:
    distro = os.environ.get("ROS_DISTRO")
    if importlib.util.find_spec("rclpy") is None:
        return [Finding("warn", "ROS 2", "no rclpy; source a ROS 2 setup.bash or run `make setup` to run the node")]
    origin = f"sourced {distro}" if distro else "wheels of this environment"
    missing = [name for name in ("tf2_ros", "cv_bridge", "sensor_msgs_py") if importlib.util.find_spec(name) is None]
    note = f"; {', '.join(missing)} missing, own replacements are used" if missing else ""
    return [Finding("ok", "ROS 2", f"rclpy found ({origin}){note}")]


def _messages() -> list[Finding]:
    try:
        from flashocc_ros import msg
    except ImportError:
        text = "flashocc_ros.msg is not built; run `make setup` or colcon build, then source it, to run the node"
        return [Finding("warn", "messages", text)]
    names = sorted(name for name in dir(msg) if name[:1].isupper())
    return [Finding("ok", "messages", ", ".join(names))]


def _engines() -> list[Finding]:
    findings = []
    for module, (distributions, purpose) in _LIBRARIES.items():
        found = importlib.util.find_spec(module) is not None
        text = f"{_version(distributions)} ({purpose})" if found else f"not installed ({purpose})"
        findings.append(Finding("ok" if found else "info", module, text))
    if all(importlib.util.find_spec(name) is None for name in ENGINES):
        findings.append(Finding("error", "engines", "none can run a network; pip install 'flashocc_ros[openvino]'"))
    return findings


def _version(distributions: tuple[str, ...]) -> str:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown version"


def _cache() -> list[Finding]:
    from flashocc_ros.paths import cache_directory

    folder = cache_directory()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror}); set FLASHOCC_CACHE to a folder that can"
        return [Finding("error", "engine cache", text)]
    free = shutil.disk_usage(existing).free
    if free < MIN_CACHE_BYTES:
        text = f"{folder}: only {free / 1e9:.1f} GB free; engines need up to {MIN_CACHE_BYTES / 1e9:.0f} GB"
        return [Finding("warn", "engine cache", text)]
    return [Finding("ok", "engine cache", f"{folder}, {free / 1e9:.0f} GB free")]


def _shared_memory() -> list[Finding]:
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    profile = next((os.environ[name] for name in names if os.environ.get(name)), None)
    findings = []
    if profile is None:
        text = "no Fast DDS profile set; the launch file sets one, else raw images are lost (config/fastdds_shm.xml)"
        findings.append(Finding("info", "DDS profile", text))
    elif not Path(profile).is_file():
        findings.append(Finding("error", "DDS profile", f"{profile} does not exist; correct {names[0]}"))
    else:
        findings.append(Finding("ok", "DDS profile", profile))
    device = Path("/dev/shm")
    if device.is_dir():
        size = shutil.disk_usage(device).total
        if size < MIN_SHM_BYTES:
            text = f"/dev/shm has {size >> 20} MB, needs {MIN_SHM_BYTES >> 20}; docker run --shm-size=1g or --ipc=host"
            findings.append(Finding("warn", "shared memory", text))
        else:
            findings.append(Finding("ok", "shared memory", f"/dev/shm has {size >> 20} MB"))
    return findings


def _weights() -> list[Finding]:
    shipped = [name for name in VARIANTS if weights.path(name) is not None]
    if not shipped:
        return [Finding("warn", "weights", "none shipped; every network needs a checkpoint")]
    return [Finding("ok", "weights", f"shipped for {', '.join(shipped)}; others need a checkpoint")]
