#!/usr/bin/env bash
# Makes .venv ready for one profile: runtime (node, demo), torch (runtime + PyTorch), dev (all of it + test tools).
# Without ROS 2 the middleware comes from PyPI wheels; with a sourced ROS 2 the package is built with colcon into install/.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-runtime}

die() { echo "setup: $*" >&2; exit 1; }

case "$profile" in
  runtime) extras=openvino,viz packages=() ;;
  torch) extras=openvino,viz,export packages=("${TORCH:-torch==2.13.0}") ;;
  dev) extras=openvino,onnxruntime,viz,export,train,dev packages=("${TORCH:-torch==2.13.0}") ;;
  *) die "profile '$profile' is none of: runtime torch dev" ;;
esac

if [ -n "${ROS_DISTRO:-}" ]; then
  python=${PYTHON:-python3}
else
  python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
  [ -n "$python" ] || die "no Python found; apt install python3.11 python3.11-venv python3.11-dev"
  case "$("$python" -c 'import sys, platform; print(*sys.version_info[:2], platform.system(), platform.machine())')" in
    "3 11 Linux x86_64") ;;
    *) die "$("$python" --version) on $(uname -sm) has no ROS 2 wheels: use Python 3.11 on Linux x86_64 (PYTHON=/path/to/python3.11 make ...), or install ROS 2 and source its setup.bash" ;;
  esac
fi

missing=()
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing+=("$(basename "$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')")-venv")
"$python" -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || missing+=("$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-dev")
command -v g++ >/dev/null || missing+=(g++)
cmake_version=$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*//p') || true
[ -n "$cmake_version" ] && [ "$(printf '3.21\n%s\n' "$cmake_version" | sort -V | head -n 1)" = 3.21 ] || missing+=("cmake (>= 3.21)")
[ ${#missing[@]} -eq 0 ] || die "missing: apt install ${missing[*]}"

if [ ! -x .venv/bin/python ]; then
  "$python" -m venv ${ROS_DISTRO:+--system-site-packages} .venv
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
pip() { .venv/bin/python -m pip --quiet "$@" 2> >(grep -v 'is ignored: it is neither a file nor a directory' >&2); }

# The dependencies are installed again only when what declares them has changed.
wanted=$( (echo "$profile ${packages[*]-}"; cat setup.cfg scripts/setup.sh) | sha256sum | cut -d' ' -f1)
if ! grep -qs "$wanted" ".venv/.ready-$profile"; then
  echo "setup: installing the $profile dependencies into .venv"
  pip install 'setuptools>=68,<81' wheel 'pip>=23'
  # PyTorch first and alone, so that no other requirement chooses its build.
  [ ${#packages[@]} -eq 0 ] || pip install "${packages[@]}"
  .venv/bin/python scripts/requirements.py "$extras,messages" > .venv/requirements.txt
  pip install -r .venv/requirements.txt
  echo "$wanted" > ".venv/.ready-$profile"
fi

sources=$(git ls-files -co --exclude-standard -- flashocc_ros msg launch config cmake scripts CMakeLists.txt package.xml setup.py setup.cfg 2>/dev/null || find flashocc_ros msg launch config cmake scripts CMakeLists.txt package.xml setup.py setup.cfg -type f)
installed=$(echo "$sources" | sort | xargs -d '\n' sha256sum 2>/dev/null | sha256sum | cut -d' ' -f1)
if ! grep -qs "$installed" .venv/.installed; then
  echo "setup: building the messages and installing the package"
  if [ -n "${ROS_DISTRO:-}" ]; then
    command -v colcon >/dev/null || die "colcon is missing: apt install python3-colcon-common-extensions"
    colcon build --packages-select flashocc_ros --cmake-args -DBUILD_TESTING=OFF
  else
    pip install --no-build-isolation --no-deps --force-reinstall .
  fi
  echo "$installed" > .venv/.installed
fi
