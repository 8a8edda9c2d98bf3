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

"""Builds the ROS messages with the same CMakeLists.txt as colcon and puts them into the wheel."""

from __future__ import annotations

import configparser
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build" / f"messages-{sys.implementation.cache_tag}"


def sourced_ros() -> bool:
    """True inside an environment set up by a ROS 2 installation."""
    return bool(os.environ.get("ROS_DISTRO") and os.environ.get("AMENT_PREFIX_PATH"))


def build_requirements() -> list[str]:
    """What generating the messages needs: nothing from PyPI where a ROS 2 installation brings it."""
    if sourced_ros():
        return []
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return [line for line in config["options.extras_require"]["messages"].splitlines() if line]


def wheel_prefixes() -> list[Path]:
    """Installation prefixes that hold ROS packages from wheels: of the build environment and of this interpreter."""
    spec = importlib.util.find_spec("ament_package")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "error: no ROS 2 found: source a ROS 2 installation, or use Python 3.11 on Linux x86_64, "
            "the only one with ROS 2 wheels on PyPI"
        )
    return list(dict.fromkeys([Path(spec.origin).parents[4], Path(sys.prefix)]))


def cmake(source: Path, build: Path, prefix: Path, extra: list[str]) -> None:
    """Configures, builds and installs one ament package into ``prefix``."""
    environment = dict(os.environ)
    if not sourced_ros():
        prefixes = os.pathsep.join(str(p) for p in wheel_prefixes())
        environment["AMENT_PREFIX_PATH"] = environment["CMAKE_PREFIX_PATH"] = prefixes
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = [f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF"]
    options += [f"-DPython3_EXECUTABLE={sys.executable}", *extra]
    for command in (
        ["cmake", "-S", str(source), "-B", str(build), *generator, *options],
        ["cmake", "--build", str(build), "--parallel", str(os.cpu_count() or 1)],
        ["cmake", "--install", str(build)],
    ):
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{done.stdout[-8000:]}\nerror: {' '.join(command[:2])} failed; its output stands above")


class BuildWithMessages(build_py):
    """Builds the messages, then the Python package around them."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)  # modules deleted since the last build must not come along
        super().run()
        prefix = BUILD / "prefix"
        shutil.rmtree(prefix, ignore_errors=True)
        # Real ones are part of a ROS 2 installation, or can be added to it, but are not on PyPI.
        stand_ins = [] if sourced_ros() else sorted(p.parent for p in (ROOT / "cmake").glob("*/package.xml"))
        for package in stand_ins:
            cmake(package, BUILD / package.name, prefix, [])
        cmake(ROOT, BUILD / "flashocc_ros", prefix, ["-DFLASHOCC_MESSAGES_ONLY=ON"])
        generated = next(prefix.glob("**/*-packages/flashocc_ros"))
        shutil.copytree(generated, Path(self.build_lib, "flashocc_ros"), dirs_exist_ok=True, ignore=ignore_init)
        for package in stand_ins:
            shutil.copytree(generated.parent / package.name, Path(self.build_lib, package.name), dirs_exist_ok=True)
        # Libraries and the ament index are looked up below the prefix of the environment.
        for folder in ("lib", "share"):
            for path in sorted((prefix / folder).rglob("*")):
                inside = path.relative_to(prefix)
                if path.is_file() and "site-packages" not in inside.parts and "dist-packages" not in inside.parts:
                    self.distribution.data_files.append((str(inside.parent), [str(path.relative_to(ROOT))]))


def ignore_init(folder: str, names: list[str]) -> set[str]:
    """Keeps our ``__init__.py`` instead of the generator's empty one at the top of the package."""
    return {"__init__.py"} if Path(folder).name == "flashocc_ros" else set()


class BinaryDistribution(Distribution):
    """The wheel holds compiled type support, so it is bound to this interpreter and platform."""

    def has_ext_modules(self) -> bool:
        return True


assert sysconfig.get_platform().startswith("linux"), "flashocc_ros is for Linux"

setup(
    distclass=BinaryDistribution,
    setup_requires=build_requirements(),
    data_files=[],
    cmdclass={"build_py": BuildWithMessages},
)
