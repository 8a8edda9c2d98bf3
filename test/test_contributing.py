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

"""What a contributor is told is true: files exist, hooks are those of `make lint`, the picture shows the contract."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from flashocc_ros.version import __version__

try:
    import tomllib
except ImportError:  # until Python 3.10 pip's copy is the one that is there
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / f"{name}.md" for name in (
    "architecture", "add_a_variant", "add_a_backend", "add_an_output"))]  # fmt: skip


def named_files(page: str) -> set[str]:
    """Paths in backticks or links, and test files in commands."""
    quoted = re.findall(r"`([\w./*-]+/[\w./*-]*|[\w.-]+\.(?:md|rst|xml|cfg|toml|py))`", page)
    linked = re.findall(r"\]\(([\w./-]+)\)", page)
    return {*quoted, *linked, *re.findall(r"\b(?:test|config)/[\w/]+\.(?:py|yaml)", page)}


def exists(name: str, page: Path) -> bool:
    places = (ROOT, page.parent, ROOT / "flashocc_ros")
    return any(bool(list(place.glob(name))) if "*" in name else (place / name).exists() for place in places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_a_page_names_exists(page: Path) -> None:
    names = {name for name in named_files(page.read_text()) if ".." in name or not name.startswith(("/", "~"))}
    assert len(names) > 3
    examples = {"plain_backend.py", "std_msgs/UInt32"}
    assert sorted(name for name in names - examples if not exists(name, page)) == []


def test_the_picture_of_the_architecture_shows_every_layer_in_the_order_of_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    picture = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    shown = [name for line in picture.splitlines() for name in re.split(r"\s{3,}", line.strip())[0].split()]
    for layer in contract["layers"]:
        names = re.findall(r"\w+", layer)
        assert sorted(shown[: len(names)]) == sorted(names)
        shown = shown[len(names) :]
    assert shown == []


def test_hooks_run_what_lint_runs_and_fetch_nothing() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    done = subprocess.run(["make", "--dry-run", "lint"], cwd=ROOT, capture_output=True, text=True, check=True)
    checks = [re.sub(r" (--\S+|\.)", "", line).strip() for line in done.stdout.splitlines() if ".venv/bin" in line]
    assert sorted(re.sub(r" --\S+", "", hook["entry"]) for hook in local["hooks"]) == sorted(checks)


def test_the_tests_of_make_begin_with_lint() -> None:
    done = subprocess.run(["make", "--dry-run", "test"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    order = [
        next(i for i, line in enumerate(lines) if word in line) for word in ("ruff check", "lint-imports", "pytest")
    ]
    assert order == sorted(order)


def test_the_workflow_runs_lint_and_tests() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["make lint", "make test"]


def test_the_changelog_is_one_that_a_release_can_be_made_of() -> None:
    changelog = pytest.importorskip("catkin_pkg.changelog")
    from catkin_pkg.package_version import get_forthcoming_label

    read = changelog.get_changelog_from_path(str(ROOT))
    assert __version__ in [version for version, _, _ in read.foreach_version()]
    written = re.search(r"^(\S.*)\n-+$", read.rst, re.MULTILINE)
    assert written is not None
    assert get_forthcoming_label(read.rst) == written[1] or written[1].startswith(__version__)


def test_the_citation_is_of_this_release() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert (citation["version"], citation["license"]) == (__version__, config["metadata"]["license"])
    assert f"{__version__} ({citation['date-released']})" in (ROOT / "CHANGELOG.rst").read_text()
