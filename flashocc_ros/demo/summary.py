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

"""What a demo run amounts to, as numbers for programs and as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from flashocc_ros import weights
from flashocc_ros.bags import BagReader, Frames, cameras_at, colour_cameras, read_sets
from flashocc_ros.bags.results import TRUTH_TYPE, count_results, read_results, read_truths
from flashocc_ros.demo.session import Session, node_counts
from flashocc_ros.demo.settings import Network
from flashocc_ros.ros.statistics import WARM_UP

STAGES = ("images", "preprocess", "encoder", "pooling", "head", "decode", "publish", "total")
QUANTILES = ("p50", "p95", "max")


def summarise(
    session: Session,
    bag: Path,
    counted: SetCount,
    network: Network,
    rate: float,
    generated: bool,
    truth: dict[str, Any] | None,
) -> dict[str, Any]:
    """Everything ``summary.json`` holds; times in milliseconds, memory in MB; ``truth`` comes from ``accuracy``."""
    status = session.status
    prefix = "sets_dropped_"
    reasons = {key.removeprefix(prefix): int(n) for key, n in status.items() if key.startswith(prefix) and int(n)}
    sent = {int(stamp): int(at) for stamp, at in session.replay["sent_ns"].items()}
    # in the order of arrival
    latencies = [(at - sent[stamp]) / 1e6 for stamp, at in session.arrived_ns.items() if stamp in sent]
    warm_up = latencies[: WARM_UP * (len(latencies) > WARM_UP)]
    lost = lost_sets(session, counted)
    return {
        "published": len(session.arrived_ns),
        "skipped": int(status.get("sets_skipped", 0)),
        "dropped": int(status.get("sets_dropped", 0)),
        "dropped_reasons": reasons,
        "lost": sum(lost.values()),
        "lost_reasons": lost,
        "sets_in_bag": counted.complete,
        "unanswered": session.replay["unanswered"],
        "late_messages": session.replay["late"],
        "trained": status.get("trained") == "true",
        "variant": network.variant,
        "engine": status.get("engine") or network.engine,
        "precision": network.precision,
        "network": status.get("network", ""),
        "checkpoint": network.checkpoint or None,
        "bag": str(bag),
        "generated_drive": generated,
        "replay": "lockstep" if rate <= 0 else f"{rate:g} x real time",
        "stages_ms": {s: times for s in STAGES if (times := _reported(status, f"stage_{s}"))},
        "warm_up_ms": [round(value, 1) for value in warm_up],
        "latency_ms": quantiles(latencies[len(warm_up) :]),
        "sync_spread_ms": _reported(status, "sync_spread"),
        "node_peak_memory_mb": float(status.get("memory_peak_mb", 0)),
        "node_ready_s": round(session.ready_s, 2),
        "node_exit_code": session.exit_code,
        "truth": truth,
        "held_out": weights.HELD_OUT.get(network.variant) if generated and not network.checkpoint else None,
        "mIoU": truth["mIoU"] if truth else None,
    }


class SetCount(NamedTuple):
    """Complete camera sets of a recording, and triggers of its first camera that lack an image of another."""

    complete: int
    broken: int


def count_sets(bag: Path, frames: Frames = Frames()) -> SetCount:  # noqa: B008 - frozen
    """What the node can make of a recording.

    Raises:
        BagError: it cannot be used.
    """
    with BagReader(bag) as reader:
        cameras = colour_cameras(reader, frames.tf_prefix)
        triggers = reader.topics[next(iter(cameras.values())).image].count if cameras else 0
    sets = sum(1 for _ in read_sets(bag, decode=False, frames=frames))
    return SetCount(sets, max(triggers - sets, 0))


def lost_sets(session: Session, counted: SetCount) -> dict[str, int]:
    """Complete sets of the recording that were neither published nor skipped nor dropped, by where they got lost.

    The node drops incomplete ones, but nothing is lost with them.
    """
    received, published, skipped, dropped = node_counts(session.status)
    heard = len(session.arrived_ns)
    incomplete = int(session.status.get("sets_dropped_incomplete", 0))
    missing = max(counted.complete - heard - skipped - dropped - max(incomplete - counted.broken, 0), 0)
    found: dict[str, int] = {}
    for reason, count in (
        ("result not heard", published - heard),
        ("not finished by the node", received - published - skipped - dropped),
        ("never complete in the node", missing),
    ):
        count = min(max(count, 0), missing)
        missing -= count
        if count:
            found[reason] = count
    return found


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p95 and max, rounded; empty without values."""
    series = list(values)
    if not series:
        return {}
    p50, p95 = np.percentile(series, (50, 95))
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "max": round(max(series), 2)}


def _reported(status: dict[str, str], key: str) -> dict[str, float]:
    found = {q: status.get(f"{key}_ms_{q}") for q in QUANTILES}
    return {q: round(float(v), 2) for q, v in found.items() if v is not None}


def accuracy(
    result: Path,
    frames_of: Frames = Frames(),  # noqa: B008 - frozen
    progress: Callable[[int], object] = lambda done: None,
) -> dict[str, Any] | None:
    """mIoU and IoU above ground over camera-visible voxels, and RayIoU; None when the recording holds no truth."""
    from flashocc_ros.evaluation import MeanIoU, RayIoU, above_ground
    from flashocc_ros.evaluation.frames import recorded_origins
    from flashocc_ros.evaluation.rays import select_origins

    if not count_results(result, TRUTH_TYPE):
        return None
    # where the lidar was in all frames belongs to the score of each
    truths = read_truths(result, pictures=False)
    mounts_m = {stamp_ns: truth.lidar_origin_m for stamp_ns, truth, _ in truths}
    names = Frames.of(frames_of.base, "")
    origins = recorded_origins(result, mounts_m, names, cameras_at(result, mounts_m, frames=names))
    mean_iou, ray_iou, frames = MeanIoU(mask="camera"), RayIoU(), 0
    hits, union = 0, 0
    for frame in read_results(result, pictures=False):
        if frame.truth is not None:
            if frames == 0:
                mean_iou, ray_iou = MeanIoU("camera", frame.classes), RayIoU(frame.grid, frame.classes)
            mean_iou.update(frame.semantics, frame.truth.semantics, frame.truth.mask_camera)
            seen_from = select_origins(origins[frame.stamp_ns], frame.grid)
            ray_iou.update(frame.semantics, frame.truth.semantics, seen_from)
            seen = frame.truth.mask_camera
            both = above_ground(frame.semantics, frame.truth.semantics, seen, frame.grid, frame.classes)
            hits, union = hits + int(both[0]), union + int(both[1])
            frames += 1
            progress(frames)
    return {
        "frames": frames,
        "mIoU": round(float(mean_iou.compute()["mIoU"]), 4),
        "RayIoU": round(float(ray_iou.compute()["RayIoU"]), 4),
        "above_ground": round(hits / union, 4) if union else None,
    }


def _scores(numbers: dict[str, Any]) -> str:
    above = "" if numbers["above_ground"] is None else f", above ground {numbers['above_ground']:.3f}"
    return f"mIoU {numbers['mIoU']:.3f}, RayIoU {numbers['RayIoU']:.3f}{above}"


def loss(summary: dict[str, Any]) -> str:
    """How many sets got lost and where, in a few words."""
    where = ", ".join(f"{n} {reason}" for reason, n in summary["lost_reasons"].items())
    return f"{summary['lost']} of {summary['sets_in_bag']} camera sets: {where}"


def table(summary: dict[str, Any]) -> Table:
    """The summary for a terminal."""
    grid = Table(show_header=False, box=None, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column()
    why = ", ".join(f"{n} {reason}" for reason, n in summary["dropped_reasons"].items())
    grid.add_row("camera sets", f"{summary['sets_in_bag']} in the recording, replayed in {summary['replay']}")
    counts = f"{summary['published']} published, {summary['skipped']} skipped, {summary['dropped']} dropped"
    grid.add_row("results", counts + (f" ({why})" if why else ""))
    if summary["lost"]:
        grid.add_row("lost", f"[bold yellow]{loss(summary)}")
    grid.add_row("network", summary["network"] or summary["variant"])
    grid.add_row("weights", f"[bold yellow]{warning}" if (warning := summary["warning"]) else "trained")
    if summary["warm_up_ms"]:
        first = " and ".join(f"{value:.0f}" for value in summary["warm_up_ms"])
        grid.add_row("warm-up", f"{first} ms for the first sets, which are not in the times below")
    for stage, times in {"stamp to publish": summary["latency_ms"], **summary["stages_ms"]}.items():
        if times:
            grid.add_row(stage, f"p50 {times['p50']:.1f} ms   p95 {times['p95']:.1f} ms   max {times['max']:.1f} ms")
    grid.add_row("peak memory", f"{summary['node_peak_memory_mb']:.0f} MB in the node")
    if summary["truth"]:
        truth = summary["truth"]
        grid.add_row("accuracy", f"{_scores(truth)}, over {truth['frames']} frames of one drive")
        if (held_out := summary["held_out"]) is not None:
            low, high = held_out["mIoU_of_drives"]
            why = f"drives differ, mIoU from {low:.2f} to {high:.2f}"
            grid.add_row("in the README", f"{_scores(held_out)}, over {held_out['frames']} frames of ten: {why}")
    return grid
