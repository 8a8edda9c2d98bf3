"""What a file or folder is: a checkpoint, a recording or an export."""

from __future__ import annotations

from pathlib import Path

from flashocc_ros.cli.doctor_findings import Finding
from flashocc_ros.errors import BagError, CheckpointError, EngineError, InputError

_NOTES = ("epoch", "iter", "updates", "time", "exp_name", "mmdet3d_version", "variant", "trained_on")


def check(path: Path, base_frame: str = "base_link", tf_prefix: str = "") -> list[Finding]:
    """Findings about ``path``; a damaged file is an error of its kind (CheckpointError, BagError, EngineError)."""
    from flashocc_ros.bags.files import is_recording

    if is_recording(path):
        return check_recording(path, base_frame, tf_prefix)
    if path.is_dir():
        if (path / "meta.json").is_file():
            return check_export(path)
        raise InputError(f"{path} is neither a recording (.mcap or .db3 files) nor an export (meta.json)")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file; give a checkpoint, a recording or the folder of an export")
    return check_checkpoint(path)


def check_checkpoint(path: Path) -> list[Finding]:
    """Format, size and the networks the weights fit; never runs anything the file holds."""
    from flashocc_ros.model.checkpoint import check_values, compare_keys, fitting_variants
    from flashocc_ros.model.weights_file import read_weights
    from flashocc_ros.variants import VARIANTS

    weights = read_weights(path)
    origin = f", from its {weights.container}" if weights.container else ""
    findings = [
        Finding("ok", "format", f"{weights.format}, {path.stat().st_size / 1e6:.1f} MB{origin}"),
        Finding(
            "info",
            "content",
            f"{len(weights.tensors)} tensors, {weights.num_parameters / 1e6:.2f} M numbers, "
            f"stored as {', '.join(weights.stored_dtypes)}",
        ),
    ]
    findings += [Finding("info", key, weights.meta[key]) for key in _NOTES if key in weights.meta]
    try:
        check_values(path, weights.tensors)
    except CheckpointError as error:
        findings.append(Finding("error", "values", str(error)))
    fitting = fitting_variants(weights.tensors)
    if fitting:
        return [*findings, Finding("ok", "variant", " or ".join(fitting))]
    mismatches = {name: compare_keys(weights.tensors, row) for name, row in VARIANTS.items()}
    nearest = min(mismatches, key=lambda name: mismatches[name].size)
    return [*findings, Finding("error", "variant", f"fits none; nearest is {nearest}: {mismatches[nearest]}")]


def check_recording(path: Path, base_frame: str = "base_link", tf_prefix: str = "") -> list[Finding]:
    """Duration, cameras, calibration, poses and the first complete camera set."""
    from flashocc_ros.bags.camera_sets import Frames, read_sets
    from flashocc_ros.bags.cameras import camera_topics
    from flashocc_ros.bags.reader import BagReader

    frames = Frames.of(base_frame, tf_prefix)
    with BagReader(path) as bag:
        seconds = (bag.end_ns - bag.start_ns) / 1e9
        findings = [Finding("ok", "recording", f"{bag.message_count} messages in {seconds:.1f} s")]
        cameras = camera_topics(bag.topics, tf_prefix)
        for name, topics in cameras.items():
            images = bag.topics[topics.image]
            findings.append(Finding("info", name, f"{images.count} x {images.type} on {topics.image}"))
        findings += [
            Finding("warn", topic, "not recorded; transforms are needed to place the cameras")
            for topic in frames.topics
            if topic not in bag.topics
        ]
    try:
        first = next(read_sets(path, decode=False, frames=frames))
    except (BagError, InputError) as error:
        return [*findings, Finding("error", "camera sets", str(error))]
    spread = (first.stamps_ns.max() - first.stamps_ns.min()) / 1e6
    return [
        *findings,
        Finding("ok", "camera sets", f"{len(first.names)} cameras, shutters spread over {spread:.0f} ms"),
    ]


def check_export(path: Path) -> list[Finding]:
    """What was exported, and whether the files are the ones that were written."""
    from flashocc_ros.engine.store.meta import load_export

    try:
        meta = load_export(path)
    except EngineError as error:
        return [Finding("error", "export", str(error))]
    findings = [Finding("ok", "export", f"{meta.variant} in {meta.precision}, opset {meta.opset}, all hashes right")]
    findings += [Finding("info", name, graph.file) for name, graph in meta.graphs.items()]
    weights = "untrained" if meta.checkpoint_sha256 is None else f"checkpoint {meta.checkpoint_sha256[:12]}"
    return [*findings, Finding("info", "weights", weights)]
