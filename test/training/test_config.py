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


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_yaml_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("variant: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="no valid YAML"):
        load_config(path)
