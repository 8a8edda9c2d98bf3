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

"""``python -m flashocc_ros.checks.gpu``: the command without typer, which a bare GPU machine may not have."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from flashocc_ros.checks.gpu.check import DEVICES, MINUTES, check
from flashocc_ros.errors import FlashOccError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make gpu-check", description="Is every result right on this GPU, and how fast?"
    )
    parser.add_argument("--out", type=Path, default=Path("out/gpu"), help="folder of the report (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="nothing runs longer (default: %(default)g)")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="cpu: what can be run without a GPU")
    parser.add_argument(
        "--shared", type=Path, help="folder with spec/ and data/ (default: ../shared beside the checkout)"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help="run these parts alone")
    given = parser.parse_args()
    try:
        return 0 if check(given.out, given.minutes, given.device, given.shared, given.only) else 1
    except FlashOccError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
