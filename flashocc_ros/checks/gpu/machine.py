"""What this was run on, and how fast its memory and arithmetic are: the floor under every time below."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from flashocc_ros.checks.gpu.report import Result
from flashocc_ros.checks.gpu.setting import Setting

PACKAGES = ("torch", "torchvision", "triton", "tensorrt", "tensorrt-rtx-cu12", "tensorrt-rtx", "onnx", "numpy", "numba")


def describe(setting: Setting) -> Iterator[Result]:
    """Names and versions."""
    import torch

    yield Result("host", "info", f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    versions = ", ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    yield Result("packages", "info", versions)
    if not setting.gpu:
        yield Result("GPU", "skipped", f"no GPU: skipped (torch {torch.__version__} sees none)")
        return
    facts = torch.cuda.get_device_properties(0)
    capability = f"sm_{facts.major}{facts.minor}"
    said = f"{facts.name}, {capability}, {facts.multi_processor_count} SMs, CUDA {torch.version.cuda}"
    yield Result("GPU", "info", said, {"memory GiB": round(facts.total_memory / 2**30, 1)})
    yield Result("driver and clocks", "info", _nvidia_smi())
    capabilities = torch.cuda.get_arch_list()
    runs = any(arch.endswith(str(facts.major * 10 + facts.minor)) for arch in capabilities)
    yield Result(
        "PyTorch for this GPU",
        "ok" if runs or torch.ones(1, device=setting.device).item() == 1 else "failed",
        f"built for {', '.join(capabilities)}",
    )


def peaks(setting: Setting) -> Iterator[Result]:
    """Matrix products and copies of plain torch: what a kernel can hope for here."""
    import torch

    size = setting.scaled(8192, 512)
    kinds = [("fp32", torch.float32, False), ("tf32", torch.float32, True), ("fp16", torch.float16, False)]
    kinds.append(("bf16", torch.bfloat16, False))
    for name, dtype, tf32 in kinds if setting.gpu else kinds[:1]:
        a, b = (torch.randn(size, size, device=setting.device).to(dtype) for _ in range(2))
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = tf32
        try:
            milliseconds = median_ms(lambda a=a, b=b: a @ b, setting)  # type: ignore[misc]
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
        yield Result(
            f"matrix product {name}", "info", "", {"Tera/s": 2e-9 * size**3 / milliseconds, "ms": milliseconds}
        )
    if setting.gpu:
        left, right = (torch.randint(-8, 8, (size, size), device=setting.device, dtype=torch.int8) for _ in range(2))
        milliseconds = median_ms(lambda: torch._int_mm(left, right), setting)
        yield Result("matrix product int8", "info", "", {"Tera/s": 2e-9 * size**3 / milliseconds, "ms": milliseconds})
    count = setting.scaled(1 << 30, 1 << 26)
    source = torch.zeros(count // 4, device=setting.device)
    target = torch.empty_like(source)
    milliseconds = median_ms(lambda: target.copy_(source), setting)
    yield Result("copy on the device", "info", "read and written", {"GB/s": 2e-6 * count / milliseconds})
    if setting.gpu:
        host = torch.empty(1 << 26, dtype=torch.uint8, pin_memory=True)
        there = torch.empty_like(host, device=setting.device)
        up = median_ms(lambda: there.copy_(host, non_blocking=True), setting)
        down = median_ms(lambda: host.copy_(there, non_blocking=True), setting)
        yield Result(
            "pinned memory", "info", "", {"up GB/s": 1e-6 * host.numel() / up, "down GB/s": 1e-6 * host.numel() / down}
        )


def median_ms(work: Callable[[], Any], setting: Setting, repeats: int = 20) -> float:
    """Milliseconds of ``work`` by the device's clock, on the CPU by the wall's."""
    import torch

    times = []
    for run in range(repeats + 3):
        if setting.gpu:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            milliseconds = begin.elapsed_time(end)
        else:
            started = perf_counter()
            work()
            milliseconds = 1e3 * (perf_counter() - started)
        if run >= 3:
            times.append(milliseconds)
    return sorted(times)[len(times) // 2]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _nvidia_smi() -> str:
    query = "driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,persistence_mode"
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not answer ({error})"
    return "; ".join(done.stdout.strip().splitlines()) or done.stderr.strip()[:200]
