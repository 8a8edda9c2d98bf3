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

"""Tables of ``docs/node.md`` from the code: ``python -m scripts.node_tables`` brings the page up to date."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from flashocc_ros.paths import share_directory
from flashocc_ros.ros.diagnostics import COUNTERS, IMAGES, NETWORK, TIMES
from flashocc_ros.ros.parameter_checks import build
from flashocc_ros.ros.parameters import CAMERA_OVERRIDES, Limits, walk
from flashocc_ros.ros.publishers import outputs
from flashocc_ros.variants import VARIANTS

TYPES = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "array"}


def tables() -> dict[str, str]:
    """Markdown tables by the name of their place in the page."""
    return {
        "parameters": _parameters(),
        "outputs": _outputs(),
        "counters": _table(("key", "meaning"), ((f"`{k}`", v) for k, v in COUNTERS.items())),
        "images": _table(("key", "meaning"), ((f"`{k}`", v) for k, v in IMAGES.items())),
        "network": _table(("key", "meaning"), ((f"`{k}`", v) for k, v in NETWORK.items())),
        "times": _table(("key", "meaning"), ((f"`{k}_ms_*`", v) for k, v in TIMES.items())),
    }


def update(page: str) -> str:
    """The page with every ``<!-- table: name -->`` section filled anew."""
    for name, table in tables().items():
        section = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not section.search(page):
            raise ValueError(f"the page has no place '<!-- table: {name} -->' ... '<!-- end -->'")
        page = section.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", page)  # type: ignore[misc]
    return page


def _parameters() -> str:
    rows = [(f"`{n}`", TYPES[type(v)], _default(v), _allowed(n, lim), lim.description) for n, v, lim in walk()]
    rows += [(f"`cameras.<name>.{key}`", "string", '`""`', "", text) for key, text in CAMERA_OVERRIDES.items()]
    return _table(("parameter", "type", "default", "allowed", "meaning"), rows)


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return "`[]`"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f'`"{value}"`' if value == "" else f"`{value}`"


def _allowed(name: str, limits: Limits) -> str:
    if name == "variant":
        return "`flashocc variants`, or a .yaml"
    if limits.choices:
        return ", ".join(f"`{choice}`" for choice in limits.choices)
    if limits.read_only:
        return "at start only"
    return "" if limits.minimum is None else f"{limits.minimum:g} to {limits.maximum:g}"


def _outputs() -> str:
    found = outputs(build({"cameras.names": ["camera"]}, {}), VARIANTS["synthetic-tiny"])
    rows = [(f"`{o.topic}`", _ros_type(o.message_type), o.description) for o in found]
    rows.append(
        ("`class_table`", "flashocc_ros/ClassTable", "names, colours and kinds of the classes, latched: node is active")
    )
    rows.append(("`/diagnostics`", "diagnostic_msgs/DiagnosticArray", "health, see below"))
    return _table(("topic", "type", "content"), rows)


def _ros_type(message_type: type) -> str:
    return f"{message_type.__module__.split('.')[0]}/{message_type.__name__}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    """Rewrite ``docs/node.md`` of the checkout."""
    path = Path(share_directory()) / "docs" / "node.md"
    path.write_text(update(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
