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

"""The training loop of every variant and every data set.

One iteration = ``accumulate`` steps per process; each step is one batch through the network. Steps are numbered over
all processes, and everything random is a function of that number, so splitting the same steps over processes changes
nothing but speed: batch norm normalises within a step's batch, as in the published training.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from flashocc_ros.errors import OutputError, TrainingError
from flashocc_ros.model.build import build_model
from flashocc_ros.model.checkpoint import PREDICTS
from flashocc_ros.model.network import FlashOcc
from flashocc_ros.training.batch import Prepared
from flashocc_ros.training.checkpoint import LAST, WEIGHTS, export_weights, load_state, save_state, save_whole
from flashocc_ros.training.columns import ColumnObjective, visible_class_counts
from flashocc_ros.training.config import TrainConfig
from flashocc_ros.training.muon import build_optimizer
from flashocc_ros.training.objective import Objective, PublishedObjective
from flashocc_ros.training.pictures import progress_picture
from flashocc_ros.training.processes import Worker
from flashocc_ros.training.reporting import Report, report_classes, report_start
from flashocc_ros.training.resume import check_same_run
from flashocc_ros.training.sample import SampleSource, draw_indices, sample_rng
from flashocc_ros.training.schedule import WeightAverage, lr_factor
from flashocc_ros.training.stages import freeze, rate_factors
from flashocc_ros.training.start import Start, starting_weights
from flashocc_ros.training.validation import Judge
from flashocc_ros.variants import Variant, get_variant

_SEED_STRIDE = 1_000_003


class StepData(Dataset[Prepared]):
    """Samples of this process in the order in which its steps need them."""

    def __init__(self, source: SampleSource, variant: Variant, config: TrainConfig, worker: Worker, first: int) -> None:
        self.source, self.variant, self.config, self.worker, self.first = source, variant, config, worker, first

    def __len__(self) -> int:
        config = self.config
        return (config.schedule.iterations - self.first) * config.accumulate * config.batch_size

    def __getitem__(self, item: int) -> Prepared:
        config = self.config
        local_step, slot = divmod(self.first * config.accumulate * config.batch_size + item, config.batch_size)
        step = local_step * self.worker.world + self.worker.rank
        index = int(draw_indices(step, config.batch_size, self.source, config.seed)[slot])
        sample = self.source.sample(index, sample_rng(step, slot, config.seed))
        # An iteration that trains the image branch alone lifts nothing.
        iteration = local_step // config.accumulate
        image_only = config.loss is not None and iteration < config.loss.image_only_iterations
        return Prepared(sample, [] if image_only else sample.lift_tables(self.variant), step, slot)


def train(
    config: TrainConfig,
    source: SampleSource,
    out: Path,
    worker: Worker,
    resume: bool = False,
    stop_after: int | None = None,
    quiet: bool = False,
    validation: SampleSource | None = None,
) -> list[float]:
    """Train and leave checkpoints, ``log.jsonl`` and TensorBoard files in ``out``.

    Args:
        config: checked configuration.
        source: training samples.
        out: folder of this run.
        worker: this process.
        resume: continue from ``out/last.pt``; ``config`` may differ from the run's in what changes no loss so far.
        stop_after: end after this iteration as if killed, with a checkpoint.
        quiet: no progress bar.
        validation: samples that ``config.validation`` keeps apart; the best weights on them end up in
            ``out/best.safetensors``.

    Returns:
        Total loss per iteration done here, averaged over processes.

    Raises:
        TrainingError: a loss is not finite; the batch is saved beside the checkpoints.
        CheckpointError: ``resume`` without a usable checkpoint, or ``config.init`` fits almost nothing.
        ConfigError: ``resume`` with other settings than the run was begun with.
    """
    torch.manual_seed(config.seed)
    variant = get_variant(config.variant)
    model, start = (build_model(variant, seed=config.seed), None) if resume else initial_model(config)
    if config.init is not None and start is not None and worker.is_main:
        report_start(out, config.init, start)
    objective = build_objective(model, variant, config, source).to(worker.device)
    if worker.is_main and not resume:
        report_classes(out, objective.classes())
    if not variant.volumetric:
        objective = objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
    objective.train()
    freeze(model, config.frozen)
    optimizer = build_optimizer(objective, config.optimizer, rate_factors(model, config.optimizer.stage_rates))
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    average = WeightAverage(objective, config.ema)
    # A loss scale exists for fp16 only; switched off, the scaler passes everything through and has no state.
    scaler = torch.amp.GradScaler(worker.device.type, enabled=config.precision == "fp16")
    first = 0
    if resume:
        accept = partial(check_same_run, out, config)
        first = load_state(out / LAST, objective, optimizer, average, scaler, accept)
    network: nn.Module = objective
    if worker.world > 1:
        network = DistributedDataParallel(objective, find_unused_parameters=True, broadcast_buffers=False)
    loader = DataLoader(
        StepData(source, variant, config, worker, first),
        batch_size=config.batch_size,
        num_workers=config.workers,
        collate_fn=list,
        persistent_workers=config.workers > 0,
    )
    batches = iter(loader)
    history: list[float] = []
    last = min(config.schedule.iterations, stop_after or config.schedule.iterations)
    with Report(out, config, first, enabled=worker.is_main, progress=worker.is_main and not quiet) as report:
        judge = Judge(config, variant, validation if worker.is_main else None, out, report, worker.device)
        if first == 0:
            judge.measure(0, average.network_values())
        for iteration in range(first, last):
            started = time.perf_counter()
            factor = lr_factor(iteration, config.schedule)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            losses, batch = _iteration(network, batches, iteration, config, worker, scaler, out)
            scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(objective.parameters(), config.optimizer.clip_norm)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            average.update(objective)
            losses = _mean_over_processes(losses, worker)
            history.append(losses["total"])
            done = iteration + 1
            seconds = time.perf_counter() - started
            report.step(done, losses, lr=rates[0] * factor, gradient_norm=float(norm), seconds=seconds)
            if worker.is_main and config.picture_every and done % config.picture_every == 0:
                report.picture("prediction, where seen, truth", progress_picture(model, batch[0].sample), done)
            due = config.checkpoint_every and done % config.checkpoint_every == 0
            if judge.due(done) and done < config.schedule.iterations:
                judge.measure(done, average.network_values())
            if worker.is_main and (due or done == last):
                notes = {"variant": variant.name, PREDICTS: variant.predicts}
                save_state(out, done, objective, optimizer, average, config.keep_checkpoints, scaler, notes)
        # Also when no iteration was left to do: a run may have been killed between its last checkpoint and its weights.
        if worker.is_main and last == config.schedule.iterations:
            values = {name: value.cpu() for name, value in average.network_values().items()}
            finished = objective.finished(values)
            judge.measure(last, finished)
            export_weights(out / WEIGHTS, finished, {"variant": variant.name, PREDICTS: variant.predicts})
    return history


def _iteration(
    network: nn.Module,
    batches: Iterator[list[Prepared]],
    iteration: int,
    config: TrainConfig,
    worker: Worker,
    scaler: Any,
    out: Path,
) -> tuple[dict[str, float], list[Prepared]]:
    """Forward and backward of all steps of one iteration; mean losses of this process and its last batch."""
    means: dict[str, float] = {}
    autocast = (
        torch.autocast(worker.device.type, torch.bfloat16 if config.precision == "bf16" else torch.float16)
        if config.precision != "fp32"
        else nullcontext()
    )
    batch: list[Prepared] = []
    for part in range(config.accumulate):
        batch = next(batches)
        torch.manual_seed(config.seed * _SEED_STRIDE + batch[0].step)
        final = part == config.accumulate - 1
        waiting = isinstance(network, DistributedDataParallel) and not final
        with network.no_sync() if waiting else nullcontext():  # type: ignore[operator]
            with autocast:
                losses: dict[str, Tensor] = network(batch, iteration, config.seed)
            total = torch.stack(list(losses.values())).sum()
            if not bool(torch.isfinite(total)):
                raise TrainingError(_keep_batch(out, iteration, worker.rank, batch, losses))
            scaler.scale(total / config.accumulate).backward()
        for name, value in {**losses, "total": total}.items():
            means[name] = means.get(name, 0.0) + float(value.detach()) / config.accumulate
    return means, batch


def _mean_over_processes(losses: dict[str, float], worker: Worker) -> dict[str, float]:
    if worker.world == 1:
        return losses
    values = torch.tensor(list(losses.values()), dtype=torch.float64, device=worker.device)
    dist.all_reduce(values)
    return dict(zip(losses, (values / worker.world).tolist(), strict=True))


def _keep_batch(out: Path, iteration: int, rank: int, batch: list[Prepared], losses: dict[str, Tensor]) -> str:
    """Save the batch that broke the run (arrays and text only) and say which losses are to blame."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"not_finite_iteration_{iteration:07d}_rank{rank}.pt"
    values = {name: float(value.detach()) for name, value in losses.items()}
    content = []
    for item in batch:
        fields = {k: torch.as_tensor(v) for k, v in vars(item.sample).items() if hasattr(v, "dtype")}
        geometry = {k: torch.as_tensor(v) for k, v in vars(item.sample.geometry).items() if hasattr(v, "dtype")}
        content.append({"step": item.step, "slot": item.slot, "sample": fields, "geometry": geometry})
    try:
        save_whole(path, {"iteration": iteration, "losses": values, "batch": content})
        kept = f"the batch is in {path}"
    except OutputError as error:
        kept = f"the batch is lost: {error}"
    bad = ", ".join(name for name, value in values.items() if not torch.isfinite(torch.tensor(value)))
    return (
        f"loss {bad} is not finite at iteration {iteration} ({json.dumps(values)}); {kept}; "
        "lower optimizer.lr or check the data"
    )


def initial_model(config: TrainConfig) -> tuple[FlashOcc, Start | None]:
    """The network as training begins, and what ``config.init`` gave of it.

    Raises:
        CheckpointError: ``config.init`` fits almost nothing.
    """
    model = build_model(get_variant(config.variant), seed=config.seed)
    if config.init is None:
        return model, None
    start = starting_weights(config.init, model, config.init_variant)
    model.load_state_dict(start.values)
    return model, start


def build_objective(model: FlashOcc, variant: Variant, config: TrainConfig, source: SampleSource) -> Objective:
    """The objective that ``config`` asks for."""
    if config.loss is None:
        own, classes = config.data.kind in ("labels", "bag"), len(variant.classes)
        return PublishedObjective(model, variant, visible_class_counts(source, classes)[:classes] if own else None)
    return ColumnObjective(model, variant, config.loss, source, config.seed)
