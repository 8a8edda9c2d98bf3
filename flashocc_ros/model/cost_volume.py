"""Matching cost of each pixel at each depth against the previous frame (BEVStereo)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NO_MATCH_PENALTY = 5.0


class CostVolume(nn.Module):
    """Softmax over depth of the negative L1 distance between features; carries no gradient and no weights."""

    @torch.no_grad()
    def forward(self, current: Tensor, previous: Tensor, grid: Tensor) -> Tensor:
        """Matching probabilities (N, D, h, w).

        Args:
            current: (N, c, h, w) feature of this frame.
            previous: (N, c, h, w) feature of the previous frame.
            grid: (N, D, h, w, 2) normalised positions in ``previous``; outside the picture counts as zero.
        """
        costs = []
        for depth in range(grid.shape[1]):
            warped = F.grid_sample(previous, grid[:, depth], mode="bilinear", padding_mode="zeros", align_corners=True)
            # The reference takes one channel, fourth from the end, as its test for "nothing there".
            penalty = (warped[:, -4] == 0).to(warped.dtype) * NO_MATCH_PENALTY
            costs.append((current - warped).abs().sum(dim=1) + penalty)
        return torch.stack(costs, dim=1).neg().softmax(dim=1)
