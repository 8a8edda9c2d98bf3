"""The drive the demo shows: a given recording, or one drawn for the occasion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEED = 1000
"""Seeds of 1000 and more are never trained on."""
SECONDS = 6.0
SETS_PER_S = 4.0


@dataclass(frozen=True)
class GeneratedDrive:
    """A drive of the synthetic world: which, how long in seconds, how many camera sets a second."""

    seed: int = SEED
    seconds: float = SECONDS
    sets_per_s: float = SETS_PER_S

    def write(self, path: Path, progress: Callable[[int, int], None]) -> Path:
        """Draw it, with ground truth for every set, into a new recording; ``progress`` gets sets done and in all."""
        from flashocc_ros.data.synthetic import Drive
        from flashocc_ros.data.synthetic.bag import write_bag

        write_bag(path, Drive(self.seed, self.seconds), self.sets_per_s, truth_every=1, progress=progress)
        return path
