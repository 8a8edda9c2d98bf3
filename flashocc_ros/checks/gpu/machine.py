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


KINDS = ("fp32", "tf32", "fp16", "bf16", "int8")


def peaks(setting: Setting) -> Iterator[Result]:
    """Matrix products and copies of plain torch: what a kernel can hope for here."""
    import torch

    for kind in KINDS if setting.gpu else KINDS[:1]:
        yield Result(
            f"matrix product {kind}", "info", "two operations per multiply-add", {"Tera/s": tera_per_s(setting, kind)}
        )
    yield Result("copy on the device", "info", "read and written", {"GB/s": gigabytes_per_s(setting)})
    if setting.gpu:
        host = torch.empty(1 << 26, dtype=torch.uint8, pin_memory=True)
        there = torch.empty_like(host, device=setting.device)
        copies = {"up": (there, host), "down": (host, there)}
        for way, (target, source) in copies.items():
            milliseconds = median_ms(lambda t=target, s=source: t.copy_(s, non_blocking=True), setting)  # type: ignore[misc]
            yield Result(f"pinned memory, {way}", "info", "", {"GB/s": 1e-6 * host.numel() / milliseconds})


def tera_per_s(setting: Setting, kind: str) -> float:
    """1e12 operations per second of a large matrix product; one of ``KINDS``."""
    import torch

    size = setting.scaled(8192, 512)
    dtypes = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = kind == "tf32"
    try:
        if kind == "int8":
            left, right = (torch.ones(size, size, device=setting.device, dtype=torch.int8) for _ in range(2))
            milliseconds = median_ms(lambda: torch._int_mm(left, right), setting)
        else:
            a, b = (torch.randn(size, size, device=setting.device).to(dtypes[kind]) for _ in range(2))
            milliseconds = median_ms(lambda: a @ b, setting)
    finally:
        matmul.allow_tf32 = before
    return 2e-9 * size**3 / milliseconds


def gigabytes_per_s(setting: Setting) -> float:
    """1e9 bytes read and written per second by a copy on the device."""
    import torch

    count = setting.scaled(1 << 30, 1 << 26)
    source = torch.zeros(count // 4, device=setting.device)
    target = torch.empty_like(source)
    return 2e-6 * count / median_ms(lambda: target.copy_(source), setting)


def median_ms(work: Callable[[], Any], setting: Setting, repeats: int = 20) -> float:
    """Milliseconds of ``work`` by the device's clock, on the CPU by the wall's."""
    import torch

    times = []
    warm_up = setting.scaled(3, 1)
    for run in range(repeats + warm_up):
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
        if run >= warm_up:
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
