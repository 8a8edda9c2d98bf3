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

"""The documentation holds together: links and anchors lead somewhere, the site builds, the notebook runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from flashocc_ros.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "flashocc_ros" / "weights" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"^(```|~~~).*?^\1", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Names of the headings as GitHub and the site make them."""
    headings = re.findall(r"^#+\s+(.*?)\s*$", prose(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {text.strip().replace(" ", "-") for text in plain}


def broken(page: Path, links: list[str]) -> list[str]:
    """Links of a page that lead nowhere in the repository."""
    found = []
    for link in links:
        name, _, anchor = link.partition("#")
        if name.startswith(("http://", "https://", "mailto:")):
            continue
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    assert broken(page, LINK.findall(prose(page))) == []


def test_pages_of_the_site_stay_within_it() -> None:
    outside = {p.name: [link for link in LINK.findall(prose(p)) if link.startswith("../")] for p in PAGES[3:]}
    assert {name: links for name, links in outside.items() if links} == {}


def test_every_page_is_in_the_navigation_and_every_picture_is_shown() -> None:
    sections = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = [
        page for entry in sections for page in ([entry] if isinstance(entry, str) else next(iter(entry.values())))
    ]
    assert sorted(listed) == sorted(page.name for page in PAGES[3:])
    text = "".join(page.read_text() for page in PAGES)
    pictures = [*(ROOT / "docs").glob("*.jpg"), *(ROOT / "docs" / "images").iterdir()]
    assert [p.name for p in pictures if p.name not in text] == []
    limits = {picture: 900_000 if picture.suffix == ".webp" else 300_000 for picture in pictures}  # those move
    assert [p.name for p, limit in limits.items() if p.stat().st_size > limit] == []


def test_files_named_in_the_code_exist() -> None:
    sources = [path for path in (ROOT / "flashocc_ros").rglob("*.py") if "view/web" not in str(path)]
    named = {name for path in sources for name in re.findall(r"\bdocs/\w+\.md\b", path.read_text())}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed")
def test_the_site_builds_and_asks_no_other_host(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    loading = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"?(?:https?:)?//|<link[^>]+href=\"?(?:https?:)?//")
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    assert [page.name for page in pages if loading.search(page.read_text())] == []
    styles = "".join(path.read_text() for path in tmp_path.rglob("*.css"))
    assert "@import" not in styles
    assert not re.search(r"url\([\"']?(https?:)?//", styles)


def test_the_notebook_was_run_and_is_small() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert NOTEBOOK.stat().st_size < 100_000
    remarks = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert broken(NOTEBOOK, LINK.findall("\n".join(remarks))) == []


def test_the_notebook_runs() -> None:
    """Its cells one after the other, as a kernel would, and the answers that are true on every machine."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for cell in cells:
        *lines, last = "".join(cell["source"]).strip().split("\n")
        exec("\n".join(lines), names)
        try:
            answer = eval(last, names)
        except SyntaxError:
            exec(last, names)
            continue
        given = [output["data"]["text/plain"] for output in cell["outputs"]]
        if answer is True or isinstance(answer, int):
            assert given == [[repr(answer)]] or given == [repr(answer)]
    assert "CAM_FRONT" in names["rig"].names  # type: ignore[attr-defined]
    assert "Occupancy(" in repr(names["seen"])
    assert len(names["page"]._repr_html_()) > 100_000  # type: ignore[attr-defined]


def options_of(command: Any) -> set[str]:
    """Everything that begins with a dash and that a command takes."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_shown_exists_with_its_options(page: Path) -> None:
    group: Any = typer.main.get_command(app)
    wrong = []
    for shown in re.findall(r"\bflashocc ([a-z](?:(?!\bflashocc )[^`\n#&|])*)", page.read_text().replace("\\\n", " ")):
        name, *words = shown.split()
        command, path = group.get_command(None, name), name
        if command is not None and hasattr(command, "commands") and words and words[0] in command.commands:
            command, path = command.commands[words[0]], f"{name} {words[0]}"
        used = [word.partition("=")[0] for word in words if re.match(r"-{1,2}[a-z][a-z-]*$", word.partition("=")[0])]
        if command is None and used:
            wrong.append(f"flashocc {shown}")
        elif command is not None:
            wrong += [f"flashocc {path} {word}" for word in used if word not in options_of(command)]
    assert wrong == []
