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

"""One CUDA stream for everything a backend does, with graph replay of its steady state; plain calls on a CPU device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def pinned(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """The array on ``device``, by way of pinned memory: a copy out of other memory waits for the device.

    torch keeps pinned blocks for reuse, each only once the copies out of it are done.
    """
    host = torch.from_numpy(np.ascontiguousarray(array))
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host.to(device)


class DeviceStream:
    """A stream on ``device``; on the CPU, where work is synchronous, all methods run the work at once.

    Args:
        device: where.
        graphs: False launches what was ``captured`` kernel by kernel, to compare with.
    """

    def __init__(self, device: torch.device, graphs: bool = True) -> None:
        self._graphs = graphs
        self._cuda = torch.cuda.Stream(device) if device.type == "cuda" else None

    @property
    def handle(self) -> int:
        """What a CUDA API takes as stream; 0 on the CPU."""
        return 0 if self._cuda is None else self._cuda.cuda_stream

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Puts torch work inside the block on this stream."""
        if self._cuda is None:
            yield
            return
        with torch.cuda.stream(self._cuda):
            yield

    def synchronize(self) -> None:
        """Wait for all work of the stream."""
        if self._cuda is not None:
            self._cuda.synchronize()

    def captured(self, work: Callable[[], None]) -> Callable[[], None]:
        """``work`` as one CUDA graph: a replay launches all its kernels at once.

        ``work`` must use fixed memory only. It runs twice before the capture, because engines allocate lazily on first
        use and allocation cannot be captured. On the CPU this is ``work`` itself.
        """
        if self._cuda is None:
            return work
        if not self._graphs:
            return lambda: self._inside(work)
        with torch.cuda.stream(self._cuda):
            work()
            work()
        self._cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate device memory meanwhile; only this one's calls belong to the graph.
        with torch.cuda.graph(graph, stream=self._cuda, capture_error_mode="thread_local"):
            work()

        return lambda: self._inside(graph.replay)

    def _inside(self, work: Callable[[], None]) -> None:
        with self():
            work()
