#!/usr/bin/env bash
# Makes .venv ready for one profile: runtime (node, demo), torch (runtime + PyTorch), dev (all of it + test tools).
# Without ROS 2 the middleware comes from PyPI wheels. With a sourced ROS 2 .venv sees the packages of the system, takes
# newer ones where they are too old, and the package is built with colcon into install/; --no-build leaves that to the
# workspace this checkout lies in.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=runtime build=yes

die() { echo "setup: $*" >&2; exit 1; }

for word in "$@"; do
  case "$word" in
    runtime | torch | dev) profile=$word ;;
    --no-build) build= ;;
    *) die "'$word' is none of: runtime torch dev --no-build" ;;
  esac
done
case "$profile" in
  runtime) extras=openvino,viz torch= ;;
  torch) extras=openvino,viz,export torch=yes ;;
  dev) extras=openvino,onnxruntime,viz,export,train,docs,dev torch=yes ;;
esac
[ -n "${ROS_DISTRO:-}" ] || extras+=,messages

if [ -n "${ROS_DISTRO:-}" ]; then
  python=${PYTHON:-python3}
else
  [ -n "$build" ] || die "--no-build is for a ROS 2 workspace, and no ROS 2 is sourced: source /opt/ros/DISTRIBUTION/setup.bash"
  python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
  [ -n "$python" ] || die "no Python found; apt install python3.11 python3.11-venv python3.11-dev"
  case "$("$python" -c 'import sys, platform; print(*sys.version_info[:2], platform.system(), platform.machine())')" in
    "3 11 Linux x86_64") ;;
    *) die "$("$python" --version) on $(uname -sm) has no ROS 2 wheels: use Python 3.11 on Linux x86_64 (PYTHON=/path/to/python3.11 make ...), or install ROS 2 and source its setup.bash" ;;
  esac
fi

python_name=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
missing=()
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing+=("$python_name-venv")
if [ -n "$build" ]; then
  "$python" -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || missing+=("$python_name-dev")
  command -v g++ >/dev/null || missing+=(g++)
  cmake_version=$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*//p') || true
  [ -n "$cmake_version" ] && [ "$(printf '3.21\n%s\n' "$cmake_version" | sort -V | head -n 1)" = 3.21 ] || missing+=("cmake (>= 3.21)")
fi
[ ${#missing[@]} -eq 0 ] || die "missing: apt install ${missing[*]}"

if [ ! -x .venv/bin/python ]; then
  "$python" -m venv ${ROS_DISTRO:+--system-site-packages} .venv
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
pip() { .venv/bin/python -m pip --quiet "$@" 2> >(grep -v 'is ignored: it is neither a file nor a directory' >&2); }

# Beside a ROS 2, PyTorch that is there stays, for it may be the only one that knows this machine's GPU.
package=
if [ -n "$torch" ]; then
  package=${TORCH:-torch==2.13.0}
  [ -z "${TORCH_INDEX:-}" ] || package=${TORCH:-torch}
fi
if [ -n "$torch" ] && [ -n "${ROS_DISTRO:-}" ] && [ -z "${TORCH:-}${TORCH_INDEX:-}" ]; then
  found=$(.venv/bin/python -c 'import importlib.metadata as metadata; print(metadata.version("torch"))' 2>/dev/null) || true
  floor=$(sed -n 's/^ *torch>=\([0-9.]*\).*/\1/p' setup.cfg | head -n 1)
  if [ -z "$found" ]; then
    [ ! -e /etc/nv_tegra_release ] || die "PyPI's PyTorch does not use the GPU of every Jetson: set TORCH_INDEX to the index for this JetPack, see docs/jetson.md"
  # A preview (2.4.0a0) is older than its release, for pip and, with a tilde, for sort.
  elif [ "$(printf '%s\n%s\n' "$floor.0" "${found/a/\~a}" | sort -V | head -n 1)" = "$floor.0" ]; then
    package=
  else
    die "PyTorch $found of this system is older than $floor: install a newer one there, or take PyPI's into .venv with TORCH=torch==2.13.0"
  fi
fi

# The dependencies are installed again only when what declares them has changed.
wanted=$( (echo "$profile ${TORCH:-} ${TORCH_INDEX:-}"; cat setup.cfg scripts/setup.sh scripts/requirements.py) | sha256sum | cut -d' ' -f1)
if ! grep -qs "$wanted" ".venv/.ready-$profile"; then
  echo "setup: installing the $profile dependencies into .venv"
  pip install 'setuptools>=68,<81' wheel 'pip>=23'
  # PyTorch first and alone, so that no other requirement chooses its build; what it needs itself lies on PyPI.
  [ -z "$package" ] || pip install ${TORCH_INDEX:+--no-deps --index-url "$TORCH_INDEX"} "$package"
  "$python" scripts/requirements.py "$extras" > .venv/requirements.txt
  pip install -r .venv/requirements.txt
  echo "$wanted" > ".venv/.ready-$profile"
fi
[ -n "$build" ] || exit 0

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
