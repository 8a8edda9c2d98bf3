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

"""What a run tells: how far it is, one JSON line per log step, TensorBoard where installed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from flashocc_ros.progress import Progress
from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.resume import CONFIG, VARIANT
from flashocc_ros.training.start import Start
from flashocc_ros.variants import is_file
from flashocc_ros.whole_file import unwritable, write_whole

LOG = "log.jsonl"


class Report:
    """Averages losses between log lines; does nothing where it is not enabled (other ranks)."""

    def __init__(self, out: Path, config: TrainConfig, first: int, enabled: bool, progress: bool) -> None:
        self._out, self._config, self._enabled = out, config, enabled
        self._sums: dict[str, float] = {}
        self._count = 0
        self._file: TextIO | None = None
        self._board: Any = None
        self._progress = Progress(quiet=not progress)
        self._progress.begin("training", config.schedule.iterations, first=first)

    def __enter__(self) -> Report:
        if self._enabled:
            # Other processes may be reading it.
            write_whole(self._out / CONFIG, self._config.model_dump_json(indent=2) + "\n")
            if is_file(self._config.variant):
                write_whole(self._out / VARIANT, Path(self._config.variant).read_bytes())
            self._file = (self._out / LOG).open("a")
            self._board = _tensorboard(self._out)
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        if self._board is not None:
            self._board.close()
        if self._file is not None:
            self._file.close()

    def step(self, iteration: int, losses: dict[str, float], **numbers: float) -> None:
        """Take note of one finished iteration."""
        self._progress.describe(f"training, loss {losses['total']:.3f}")
        self._progress(iteration)
        if self._file is None:
            return
        for name, value in {**losses, **numbers}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if iteration % self._config.log_every and iteration != self._config.schedule.iterations:
            return
        means = {name: value / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        line = {"iteration": iteration, "time": round(time.time(), 1), **{k: round(v, 6) for k, v in means.items()}}
        self._log(line)
        if self._board is not None:
            for name, value in means.items():
                self._board.add_scalar(name, value, iteration)

    def validation(self, iteration: int, scores: dict[str, float], frames: int, best: bool) -> None:
        """Log what was measured on drives kept apart, and say it."""
        if self._file is None:
            return
        line = {"iteration": iteration, **{f"validation_{name}": round(value, 6) for name, value in scores.items()}}
        self._log(line)
        if self._board is not None:
            for name, value in scores.items():
                self._board.add_scalar(f"validation/{name}", value, iteration)
        told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in scores.items())
        better = ", the best so far" if best else ""
        self._progress.say(f"iteration {iteration}: {told} on {frames} key frames kept apart{better}")

    def _log(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise unwritable(self._out / LOG, error) from error

    def picture(self, name: str, image: Any, iteration: int) -> None:
        """Show an (H, W, 3) uint8 picture in TensorBoard."""
        if self._board is not None:
            self._board.add_image(name, image, iteration, dataformats="HWC")


def report_start(out: Path, init: Path, start: Start) -> None:
    """Say on stderr what was taken from ``init``, and list in ``out/init.txt`` what was not."""
    write_whole(out / "init.txt", start.listing())
    print(f"starting from {init}: {start.summary()}", file=sys.stderr, flush=True)


def report_classes(out: Path, classes: dict[str, tuple[int, float]]) -> None:
    """Say on stderr what the data show of each class, and keep it in ``out/classes.json``."""
    if not classes:
        return
    rows = {name: {"voxels": count, "weight": round(weight, 4)} for name, (count, weight) in classes.items()}
    write_whole(out / "classes.json", json.dumps(rows, indent=2) + "\n")
    total = sum(count for count, _ in classes.values())
    told = ", ".join(f"{name} {count / total:.2%} x {weight:.1f}" for name, (count, weight) in classes.items())
    print(f"share of what cameras see, and weight, of each class: {told}", file=sys.stderr, flush=True)


def _tensorboard(out: Path) -> Any:
    """A TensorBoard writer, None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out))
