#!/usr/bin/env bash
# Runs the check with a Python that is already here, and installs nothing: a machine with a GPU may have no network.
# PYTHON if it is given; else the first of .venv's, python3 and python whose PyTorch sees a GPU; else the first that has
# PyTorch at all, which then checks what can be checked on the CPU.
set -euo pipefail
cd "$(dirname "$0")/.."

candidates=()
for candidate in .venv/bin/python python3 python; do
  ! path=$(command -v "$candidate") || candidates+=("$path")
done
[ -z "${PYTHON:-}" ] || candidates=("$PYTHON")

chosen=
for candidate in "${candidates[@]-}"; do
  [ -n "$candidate" ] || continue
  seen=$("$candidate" -c 'import torch; print(torch.cuda.is_available())' 2>/dev/null) || continue
  [ -n "$chosen" ] || chosen=$candidate
  if [ "$seen" = True ]; then chosen=$candidate; break; fi
done
if [ -z "$chosen" ]; then
  echo "gpu-check: no PyTorch in any of: ${candidates[*]-nothing}; run PYTHON=/path/to/python make gpu-check" >&2
  exit 1
fi
echo "gpu-check: $chosen"
exec "$chosen" -m flashocc_ros.checks.gpu "$@"
