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

"""Matching cost of each pixel at each depth against the previous frame (BEVStereo)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashocc_ros.model.cost_kernels import VALIDITY_CHANNEL, add_gradient, fill_cost

Float32 = npt.NDArray[np.float32]

NO_MATCH_PENALTY = 5.0


class CostVolume(nn.Module):
    """Softmax over depth of the negative L1 distance between features; carries no weights.

    Args:
        gradient: whether features learn from their matches; in the published networks they do not.
        outside_penalty: cost of a position outside the previous picture, beside that of a feature of zeros.
    """

    def __init__(self, gradient: bool = False, outside_penalty: float = NO_MATCH_PENALTY) -> None:
        super().__init__()
        self.gradient, self.outside_penalty = gradient, outside_penalty

    def forward(self, current: Tensor, previous: Tensor, grid: Tensor) -> Tensor:
        """Matching probabilities (N, D, h, w).

        Args:
            current: (N, c, h, w) feature of this frame.
            previous: (N, c, H', W') feature of the previous frame, of any resolution.
            grid: (N, D, h, w, 2) normalised positions in ``previous``; outside the picture counts as zero.
        """
        graph = torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()
        with torch.set_grad_enabled(self.gradient and torch.is_grad_enabled()):
            if graph or current.device.type != "cpu" or current.dtype == torch.float64:
                cost = _sampled_cost(current, previous, grid, self.outside_penalty)
            else:
                cost = _CostOnCpu.apply(current.float(), previous.float(), grid.float(), self.outside_penalty)
            return cost.neg().softmax(dim=1)


def _sampled_cost(current: Tensor, previous: Tensor, grid: Tensor, outside_penalty: float = NO_MATCH_PENALTY) -> Tensor:
    """The cost from standard operators, one depth at a time to bound memory; what graphs and GPUs run."""
    costs = []
    for depth in range(grid.shape[1]):
        warped = F.grid_sample(previous, grid[:, depth], mode="bilinear", padding_mode="zeros", align_corners=True)
        cost = (current - warped).abs().sum(dim=1)
        if outside_penalty:
            cost = cost + (warped[:, VALIDITY_CHANNEL] == 0).to(warped.dtype) * outside_penalty
        costs.append(cost)
    return torch.stack(costs, dim=1)


class _CostOnCpu(torch.autograd.Function):
    """The same cost, and its gradient, without the warped features of every depth in memory."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, previous: Tensor, grid: Tensor, outside_penalty: float) -> Tensor:
        now, before = (t.detach().permute(0, 2, 3, 1).contiguous() for t in (current, previous))
        grid = grid.contiguous()
        ctx.save_for_backward(now, before, grid)
        return torch.from_numpy(matching_cost(now.numpy(), before.numpy(), grid.numpy(), outside_penalty))

    @staticmethod
    def backward(ctx: Any, cost: Tensor) -> tuple[Tensor, Tensor, None, None]:
        now, before, grid = ctx.saved_tensors
        now_out, before_out = torch.zeros_like(now), torch.zeros_like(before)
        add_gradient(
            now.numpy(),
            before.numpy(),
            grid.numpy(),
            cost.contiguous().numpy(),
            now_out.numpy(),
            before_out.numpy(),
        )
        return now_out.permute(0, 3, 1, 2), before_out.permute(0, 3, 1, 2), None, None


def matching_cost(
    current: Float32, previous: Float32, grid: Float32, outside_penalty: float = NO_MATCH_PENALTY
) -> Float32:
    """The same cost fused into one pass over memory, for CPUs: (N, D, h, w) float32.

    Args:
        current: (N, h, w, c) float32, channels last; previous: (N, H', W', c) of the previous frame.
        grid: (N, D, h, w, 2) float32.
    """
    cost = np.empty(grid.shape[:4], np.float32)
    fill_cost(current, previous, grid, cost, np.float32(outside_penalty))
    return cost
