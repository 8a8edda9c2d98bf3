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

"""Training settings are read, overridden and refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashocc_ros.errors import ConfigError
from flashocc_ros.training.config import load_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "config").glob("train*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert load_config(path).schedule.iterations > 0


def test_overrides_reach_nested_values_and_plain_exponents() -> None:
    config = load_config(CONFIGS[0], ["optimizer.lr=3e-4", "schedule.iterations=7", "batch_size=3"])
    assert (config.optimizer.lr, config.schedule.iterations, config.batch_size) == (3e-4, 7, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr=-1", "optimizer.lr"),
        ("optimizer.speed=1", "speed"),
        ("variant=flashocc-r51", "unknown variant"),
        ("batch_size", "key=value"),
        ("batch_size.part=1", "not a section"),
    ],
)
def test_bad_overrides_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(CONFIGS[0], [override])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.lr=.inf", r"optimizer\.lr must be a finite number, got inf"),
        ("optimizer.clip_norm=inf", r"optimizer\.clip_norm must be a finite number, got inf"),
        ("ema.tau=nan", r"ema\.tau must be a finite number, got nan"),
        ("batch_size=1e9", r"batch_size must be at most 1024, got 1000000000"),
        ("batch_size=2.5", r"batch_size must be a whole number, got 2\.5"),
        ("batch_size=true", r"the configuration needs a number for batch_size"),
        ("workers=100000", r"workers must be at most 256, got 100000"),
        ("schedule.iterations=1e30", r"schedule\.iterations must be"),
        ("seed=-1", r"seed must be at least 0, got -1"),
        ("precision=fp64", r"precision must be one of 'fp32', 'bf16' or 'fp16', got 'fp64'"),
        ("evil=1", r"evil is no setting; remove it"),
        ("batch_sizes=1", r"batch_sizes is no setting.*; did you mean batch_size\?"),
        ("data.cahce=x", r"cahce is no setting.*; did you mean cache\?"),
        ("optimizer=[1]", r"optimizer must be a section of settings, got \[1\]"),
        ("optimizer=[", r"override value '\[' is no valid YAML"),
        ("data.kind=evil", r"data must have a kind of 'nuscenes', 'synthetic'"),
        ("variant=nope", r"variant: unknown variant 'nope'; see `flashocc variants`$"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_in_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_config(CONFIGS[0], [override])
    assert "\n" not in str(caught.value)
    assert "Input should" not in str(caught.value)


def test_a_data_set_without_a_cache_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.synthetic\.cache must be a path, got \[\]"):
        load_config(CONFIGS[1], ["data.cache=[]"])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"[" * 3000, b"a: &a [*a]"], ids=["binary", "deep", "loop"])
def test_files_that_are_no_settings_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.yaml"):
        load_config(tmp_path / "a.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_yaml_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("variant: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="cannot be used"):
        load_config(path)


ALIASES = b"a0: &a0 [1]\n" + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b"*a%d," % (n - 1) * 9) for n in range(1, 12))
"""A few lines that stand for 9 ** 11 numbers."""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"variant: 2024-99-99", "month must be in"),
        (b"variant: !!timestamp x", "is no YAML"),
        (b"variant: " + b"9" * 10_000, "digits"),
        (b"x: [" + b"1," * 600_000 + b"]", "1.2 MB long"),
        (b"[" * 100_000, "nesting depth|nested deeper"),
        (ALIASES + b"variant: *a11", "variant must be text"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "train.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"train\.yaml.*({words})") as caught:
        load_config(tmp_path / "train.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "override", ["variant=2024-99-99", "seed=" + "9" * 5000, "variant=" + "[" * 20_000, "a." * 5000 + "b=1"]
)
def test_an_override_nobody_means_is_one_short_sentence(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(CONFIGS[0], [override])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


OWN = CONFIGS[0].parent / "own_rig.yaml"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["frozen=[backbone, neck, depth, bev_encoder, head]"], "frozen: nothing is left to learn"),
        (["frozen=[backbone]", "init=null"], "frozen: without init these stages would keep random weights"),
        (
            ["frozen=[wheels]"],
            r"frozen\.0 must be one of 'backbone', .*got 'wheels'",
        ),
        (["optimizer.stage_rates={wheels: 1}"], "wheels"),
        (["optimizer.stage_rates={head: 0}"], r"stage_rates\.head must be above 0"),
        (["frozen=[neck]", "optimizer.stage_rates={neck: 0.1}"], "neck is frozen and has no rate"),
        (["data.folders=[]"], "folders must not be empty"),
        (["validation.share=1"], r"validation\.share must be below 1"),
    ],
)
def test_settings_of_own_drives_are_refused_in_a_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(OWN, overrides)


def test_labels_as_truth_of_recordings_need_a_folder() -> None:
    with pytest.raises(ConfigError, match=r"data\.truth: labels needs data\.labels"):
        load_config(CONFIGS[0], ["loss=null", "data={kind: bag, recordings: [drive], truth: labels}"])


def test_only_labelled_drives_can_be_kept_apart() -> None:
    with pytest.raises(ConfigError, match=r"validation: keeps labelled drives apart, data\.kind nuscenes has none"):
        load_config(CONFIGS[0].with_name("train_nuscenes.yaml"), ["validation={share: 0.1}"])
