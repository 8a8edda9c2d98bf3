"""Matching cost of each pixel at each depth against the previous frame (BEVStereo)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Float32 = npt.NDArray[np.float32]

NO_MATCH_PENALTY = 5.0
VALIDITY_CHANNEL = -4
"""The reference takes one channel, fourth from the end, as its test for "nothing there"."""


class CostVolume(nn.Module):
    """Softmax over depth of the negative L1 distance between features; carries no weights.

    Args:
        gradient: whether features learn from their matches; in the published networks they do not.
    """

    def __init__(self, gradient: bool = False) -> None:
        super().__init__()
        self.gradient = gradient

    def forward(self, current: Tensor, previous: Tensor, grid: Tensor) -> Tensor:
        """Matching probabilities (N, D, h, w).

        Args:
            current: (N, c, h, w) feature of this frame.
            previous: (N, c, h, w) feature of the previous frame.
            grid: (N, D, h, w, 2) normalised positions in ``previous``; outside the picture counts as zero.
        """
        graph = torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()
        with torch.set_grad_enabled(self.gradient and torch.is_grad_enabled()):
            if graph or current.device.type != "cpu" or current.dtype == torch.float64:
                cost = _sampled_cost(current, previous, grid)
            else:
                cost = _CostOnCpu.apply(current.float(), previous.float(), grid.float())
            return cost.neg().softmax(dim=1)


def _sampled_cost(current: Tensor, previous: Tensor, grid: Tensor) -> Tensor:
    """The cost from standard operators, one depth at a time to bound memory; what graphs and GPUs run."""
    costs = []
    for depth in range(grid.shape[1]):
        warped = F.grid_sample(previous, grid[:, depth], mode="bilinear", padding_mode="zeros", align_corners=True)
        penalty = (warped[:, VALIDITY_CHANNEL] == 0).to(warped.dtype) * NO_MATCH_PENALTY
        costs.append((current - warped).abs().sum(dim=1) + penalty)
    return torch.stack(costs, dim=1)


class _CostOnCpu(torch.autograd.Function):
    """The same cost, and its gradient, without the warped features of every depth in memory."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, previous: Tensor, grid: Tensor) -> Tensor:
        now, before = (t.detach().permute(0, 2, 3, 1).contiguous() for t in (current, previous))
        ctx.save_for_backward(now, before, grid)
        return torch.from_numpy(matching_cost(now.numpy(), before.numpy(), grid.contiguous().numpy()))

    @staticmethod
    def backward(ctx: Any, cost: Tensor) -> tuple[Tensor, Tensor, None]:
        from flashocc_ros.model.cost_gradient import cost_gradient

        now, before, grid = ctx.saved_tensors
        now_out, before_out = torch.zeros_like(now), torch.zeros_like(before)
        cost_gradient(
            now.numpy(),
            before.numpy(),
            grid.contiguous().numpy(),
            cost.contiguous().numpy(),
            now_out.numpy(),
            before_out.numpy(),
        )
        return now_out.permute(0, 3, 1, 2), before_out.permute(0, 3, 1, 2), None


def matching_cost(current: Float32, previous: Float32, grid: Float32) -> Float32:
    """The same cost fused into one pass over memory, for CPUs: (N, D, h, w) float32.

    Args:
        current: (N, h, w, c) float32, channels last; previous: the same of the previous frame.
        grid: (N, D, h, w, 2) float32.
    """
    cost = np.empty(grid.shape[:4], np.float32)
    _kernel()(current, previous, grid, cost)
    return cost


def _match_rows(current: Any, previous: Any, grid: Any, cost: Any) -> None:
    count, depths, height, width = cost.shape
    channels = current.shape[3]
    for row in nb.prange(count * height):
        n, y = row // height, row % height
        warped = np.empty(channels, np.float32)
        for x in range(width):
            for depth in range(depths):
                # The numbers of grid_sample(align_corners=True): corner weights, taps outside count as zero.
                u = (grid[n, depth, y, x, 0] + np.float32(1)) * np.float32(0.5) * np.float32(width - 1)
                v = (grid[n, depth, y, x, 1] + np.float32(1)) * np.float32(0.5) * np.float32(height - 1)
                if not (u > -1 and u < width and v > -1 and v < height):
                    total = np.float32(0)
                    for c in range(channels):
                        total += abs(current[n, y, x, c])
                    cost[n, depth, y, x] = total + np.float32(NO_MATCH_PENALTY)
                    continue
                left, top = int(np.floor(u)), int(np.floor(v))
                right_share, low_share = u - np.float32(left), v - np.float32(top)
                left_share, top_share = np.float32(left + 1) - u, np.float32(top + 1) - v
                if left < 0 or left + 1 >= width or top < 0 or top + 1 >= height:
                    warped[:] = 0
                    for dy in range(2):
                        for dx in range(2):
                            if 0 <= top + dy < height and 0 <= left + dx < width:
                                share = (low_share if dy else top_share) * (right_share if dx else left_share)
                                for c in range(channels):
                                    warped[c] += share * previous[n, top + dy, left + dx, c]
                else:
                    a, b = top_share * left_share, top_share * right_share
                    d, e = low_share * left_share, low_share * right_share
                    for c in range(channels):
                        warped[c] = (
                            a * previous[n, top, left, c]
                            + b * previous[n, top, left + 1, c]
                            + d * previous[n, top + 1, left, c]
                            + e * previous[n, top + 1, left + 1, c]
                        )
                total = np.float32(0)
                for c in range(channels):
                    total += abs(current[n, y, x, c] - warped[c])
                if warped[channels + VALIDITY_CHANNEL] == 0:
                    total += np.float32(NO_MATCH_PENALTY)
                cost[n, depth, y, x] = total


_compiled: Any = None


def _kernel() -> Any:
    global _compiled
    if _compiled is None:
        # Sums may be reordered so that they run on vector units; nothing else of fast math is wanted.
        _compiled = nb.njit(parallel=True, fastmath={"reassoc", "contract"}, cache=True, nogil=True)(_match_rows)
    return _compiled
