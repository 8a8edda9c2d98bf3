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

"""Puts the notice that ament_copyright asks for into source files without one; with --check it names them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTICE = """\
Copyright 2026 flashocc_ros developers

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
"""
COMMENT = "".join(f"# {line}".rstrip() + "\n" for line in NOTICE.splitlines())


def main() -> None:
    """Every tracked Python and CMake file."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.cmake", "*CMakeLists.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    bare = [name for name in listed.stdout.splitlines() if COMMENT not in (ROOT / name).read_text()]
    if "--check" in sys.argv:
        sys.exit("\n".join([*bare, "have no copyright notice: run scripts/notices.py"]) if bare else 0)
    for name in bare:
        text = (ROOT / name).read_text()
        first, _, rest = text.partition("\n")
        before, after = (f"{first}\n", rest) if first.startswith("#!") else ("", text)
        gap = "\n" if after else ""
        (ROOT / name).write_text(before + COMMENT + gap + after)
        print(name)


if __name__ == "__main__":
    main()
