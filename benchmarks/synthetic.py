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

"""How fast the synthetic world is drawn: ``python -m benchmarks.synthetic``. CPU milliseconds per frame."""

from __future__ import annotations

import time

from flashocc_ros.data.synthetic import Drive


def cpu_ms(work: object, repeats: int = 6) -> float:
    """Mean CPU milliseconds of this process per call, after one call that compiles."""
    assert callable(work)
    work(0)
    start = time.process_time()
    for number in range(1, repeats + 1):
        work(number)
    return (time.process_time() - start) / repeats * 1000


def main() -> None:
    print(f"{'pictures':>22s} {'draw':>8s} {'labels and masks':>17s} {'frames/s on 2 cores':>20s}")
    for size, crop in (((396, 704), 0), ((396, 704), 140), ((198, 352), 70), ((162, 264), 66)):
        drive = Drive(1005, 8.0, image_size=size, crop_top_px=crop, threads=2)
        draw = cpu_ms(lambda n, d=drive: d.pictures(0.5 * n))
        truth = cpu_ms(lambda n, d=drive: d.truth(0.5 * n))
        name = f"6x {size[1]}x{size[0] - crop}"
        # Labels of one frame run beside the pictures of the next, so both cores are busy.
        print(f"{name:>22s} {draw:8.0f} {truth:17.0f} {2000 / (draw + truth):20.1f}")
    start = time.process_time()
    for seed in range(2000, 2005):
        Drive(seed, 20.0)
    print(f"a world of 20 s: {(time.process_time() - start) / 5 * 1000:.0f} ms")


if __name__ == "__main__":
    main()
