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

"""``flashocc variants``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from flashocc_ros.cli.variants import app
from flashocc_ros.variants import VARIANTS

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "variant.yaml"


def test_json_has_every_variant_with_the_published_numbers(shared_dir: Path) -> None:
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 0
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert list(rows) == list(VARIANTS)
    published = json.loads((shared_dir / "spec/published_results.json").read_text())
    for name, expected in {**published["flashocc"], **published["panoptic"]}.items():
        if name in rows:
            assert rows[name]["published"]["mIoU"] == expected.get("mIoU"), name
            assert rows[name]["published"]["RayIoU"] == expected.get("RayIoU"), name
            assert rows[name]["published"]["RayPQ"] == expected.get("RayPQ"), name
    stereo = rows["flashocc-r50-4d-stereo"]
    assert (stereo["frames"], stereo["input_frames"], stereo["depth_bins"], stereo["stereo"]) == (2, 3, 88, True)
    assert rows["panoptic-flashocc-r50-depth4d-longterm16f-pano"]["frames"] == 17


def test_the_table_shows_every_name_and_count() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    for variant in VARIANTS.values():
        assert variant.name in result.stdout
        assert f"{variant.params_m:.4f}" in result.stdout


def test_every_published_network_says_where_it_comes_from() -> None:
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(app, ["--json"]).stdout)}
    for row in rows.values():
        if row["family"] in ("flashocc", "panoptic-flashocc"):
            assert row["paper"].startswith("https://arxiv.org/abs/")
            assert (row["checkpoint"] is not None) == (row["miou"] is not None), row["name"]
        assert (row["licence"] is None) == (row["checkpoint"] is None)
    shown = CliRunner().invoke(app, []).stdout
    assert all(row["checkpoint"] in shown for row in rows.values() if row["checkpoint"])
    assert rows["synthetic-tiny"]["checkpoint"] is None


def test_listing_needs_no_heavy_library() -> None:
    script = (
        "import sys; sys.argv = ['flashocc', 'variants', '--json']\n"
        "from flashocc_ros.cli.main import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'numba', 'rclpy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_a_variant_file_is_shown_with_its_counted_size_and_its_classes() -> None:
    shown = CliRunner().invoke(app, [str(EXAMPLE)]).stdout
    assert "grid      120 x 80 x 8 voxels of 0.5 m (x -20 to 40 m, y -20 to 20 m, z -1 to 3 m)" in shown
    assert "2.2099 M parameters" in shown
    assert "6 vehicle     #006ee6  cost 100  thing  like car  from car truck bus trailer construction_vehicle" in shown
    (row,) = json.loads(CliRunner().invoke(app, [str(EXAMPLE), "--json"]).stdout)
    assert (row["name"], row["num_cameras"], row["grid"]["size"]) == ("yard", 4, [120, 80, 8])


def test_a_row_of_the_table_is_shown_alone() -> None:
    shown = CliRunner().invoke(app, ["synthetic-tiny"]).stdout
    assert "200 x 200 x 16 voxels of 0.4 m" in shown
    assert "17 free" in shown
