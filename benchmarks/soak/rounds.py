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

"""Which fault costs memory? Each comes several times in a row to one life of the node, which rests after each time."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.soak.message_faults import MESSAGE_FAULTS
from benchmarks.soak.node_faults import Bearable, reconfigured
from benchmarks.soak.stage import Stage

SETTLING = 3
"""Rests until caches and pools are full."""
SHOWN = 5


def rounds(stage: Stage, faults: Sequence[Bearable], number: int) -> str:
    """A table in Markdown of what grew from the first to the last round of each fault."""
    stage.begin_life()
    for _ in range(SETTLING):
        stage.episode(str(reconfigured.__doc__), reconfigured)
    lines = [
        "| fault | at rest [MB] | per round: own memory, in heaps, mapped [kB] | Python's blocks | its objects |",
        "| --- | --- | --- | --- | --- |",
    ]
    for fault in faults:
        before = len(stage.insides) - 1
        for _ in range(number):
            if fault in MESSAGE_FAULTS:
                stage.play(fault)  # type: ignore[arg-type]
            else:
                stage.episode(str(fault.__doc__), fault)  # type: ignore[arg-type]
            if fault is not reconfigured:
                stage.episode(str(reconfigured.__doc__), reconfigured)
        lines.append(f"| {fault.__name__} | {_grown(stage, before, number)} |")
        print(lines[-1], flush=True)
    stage.end_node()
    return "\n".join(lines)


def _grown(stage: Stage, before: int, number: int) -> str:
    """What the rests since ``before`` show."""
    held_mb = [rest.own_mb for rest in stage.monitor.rests[before:]]
    first, last = stage.insides[before], stage.insides[-1]
    grown_kb = [
        1024 * (after - then) / number
        for then, after in (
            (held_mb[0], held_mb[-1]),
            (first.heap_mb, last.heap_mb),
            (first.mapped_mb, last.mapped_mb),
        )
    ]
    kinds = {kind: count - first.objects.get(kind, 0) for kind, count in last.objects.items()}
    most = sorted((kind for kind in kinds if kinds[kind] >= number), key=lambda kind: -kinds[kind])[:SHOWN]
    return " | ".join(
        [
            ", ".join(f"{mb:.1f}" for mb in held_mb),
            ", ".join(f"{kb:+.0f}" for kb in grown_kb),
            f"{(last.blocks - first.blocks) / number:+.0f}",
            ", ".join(f"{kind} {kinds[kind] / number:+.0f}" for kind in most) or "as many",
        ]
    )
