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

"""Whether a run may go on with the settings that are given now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flashocc_ros.errors import ConfigError
from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.schedule import lr_factor
from flashocc_ros.variants import get_variant

CONFIG, VARIANT = "config.json", "variant.yaml"
"""Beside the checkpoints; the second only of a variant file."""
# What changes no loss: how fast samples come, how often something is written.
_HARMLESS = {"workers", "checkpoint_every", "log_every", "picture_every", "keep_checkpoints", "held_out"}
_HARMLESS_KEYS = {"validation.every", "validation.frames"}


def check_same_run(out: Path, config: TrainConfig, done: int) -> None:
    """Refuse settings that would have made the ``done`` iterations of the run in ``out`` other ones.

    A schedule may change in what lies ahead: a run without decay may become longer.

    Raises:
        ConfigError: names the first setting that differs, both values and what to do.
    """
    file = out / CONFIG
    try:
        begun = TrainConfig.model_validate_json(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot tell from {file} how this run was begun ({error}); choose another --out") from error
    if (out / VARIANT).is_file() and get_variant(config.variant) != get_variant(out / VARIANT):
        raise ConfigError(
            f"{config.variant} describes another network than {out / VARIANT}, with which the run was begun; put the "
            "latter in its place, or choose another --out"
        )
    if done > config.schedule.iterations:
        raise ConfigError(
            f"{out} has {done} iterations done, schedule.iterations is {config.schedule.iterations}; "
            f"ask for at least {done}, or choose another --out"
        )
    same_past = all(lr_factor(i, begun.schedule) == lr_factor(i, config.schedule) for i in range(done))
    before, now = (dict(_flat(settings.model_dump(mode="json"))) for settings in (begun, config))
    for key in {**before, **now}:
        if key.partition(".")[0] in _HARMLESS or key in _HARMLESS_KEYS or (key.startswith("schedule.") and same_past):
            continue
        then, given = before.get(key), now.get(key)
        if then != given:
            raise ConfigError(
                f"{out} was begun with {key}={then}, not {given}; "
                f"continue it with {key}={then}, or start anew in another --out"
            )


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield prefix + key, "settings"
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
