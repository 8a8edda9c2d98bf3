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

"""Fleets of recordings on this machine: equal bytes, kills, overhead, workers, and ten thousand recordings.

Run from the checkout, e.g. ``python -m benchmarks.fleet equal --work /tmp/fleet``; Ray in a network of its own, as the
tests have it: ``unshare -n sh -c 'ip link set lo up; exec python -m benchmarks.fleet equal --ray'``.
Each command prints what it saw and ends with an error where it is not as it must be.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu_time import process_cpu_s
from flashocc_ros import bags
from flashocc_ros.data.synthetic import Drive
from flashocc_ros.data.synthetic.bag import write_bag
from flashocc_ros.fleet.attempt import attempt, held_bytes
from flashocc_ros.fleet.ledger import Ledger
from flashocc_ros.fleet.manifest import read_manifest, write_manifest
from flashocc_ros.fleet.predict import PredictWork
from flashocc_ros.fleet.progress import FleetProgress
from flashocc_ros.fleet.recordings import Recording, find_recordings
from flashocc_ros.fleet.run import run
from flashocc_ros.fleet.seats import local_seats
from flashocc_ros.fleet.status import read_status
from flashocc_ros.fleet.todo import choose
from flashocc_ros.fleet.work import Made, Tell
from flashocc_ros.fleet.worker import Task

VARIANT = "synthetic-tiny"
WHOLE, BROKEN = 21, 3
RAY_SETTLES_S = 3.0
"""Until then its servers know what their ended actors spent."""
T0_NS = 1_700_000_000_000_000_000


def make_drives(folder: Path, seconds: float, image_size: tuple[int, int] = (99, 176)) -> None:
    """21 drives of the synthetic world and three recordings that are none: cut, without cameras, of wrong types."""
    for seed in range(1000, 1000 + WHOLE):
        if not (folder / f"drive_{seed}").exists():
            write_bag(folder / f"drive_{seed}", Drive(seed, seconds, image_size=image_size, threads=1), rate_hz=2.0)
    if (folder / "types").exists():
        return
    whole = next((folder / "drive_1000").glob("*.mcap")).read_bytes()
    (folder / "cut.mcap").write_bytes(whole[:40_000])
    for name, topic, kind in (("blind", "/clock", "std_msgs/msg/Header"), ("types", "/f/image", "std_msgs/msg/Header")):
        with bags.BagWriter(folder / name) as writer:
            writer.add_topic(topic, kind)
            time_ = writer.message("builtin_interfaces/msg/Time", sec=T0_NS // 10**9, nanosec=0)
            writer.write(topic, T0_NS, writer.message(kind, stamp=time_, frame_id="f"))


def digest(out: Path) -> str:
    """Of all results, their names and bytes."""
    sha256 = hashlib.sha256()
    files = [p for p in out.rglob("*") if p.is_file() and ".fleet" not in p.parts and p.parent != out]
    for path in sorted(files):
        sha256.update(f"{path.relative_to(out)}\0".encode() + path.read_bytes())
    return f"{len(files)} files {sha256.hexdigest()[:16]}"


def command(drives: Path, out: Path, *options: object) -> list[str]:
    start = [sys.executable, "-m", "flashocc_ros.cli", "fleet", "predict", f"{drives}/*", "--variant", VARIANT]
    return [*start, "--out", str(out), "--quiet", *map(str, options)]


def check_books(out: Path) -> None:
    counts = Counter(state.status for state in read_manifest(out))
    print(f"  manifest: {dict(counts)}")
    if counts != {"done": WHOLE, "quarantined": BROKEN}:
        raise SystemExit(f"{out}: not {WHOLE} done and {BROKEN} quarantined")
    left = [*(out / ".fleet" / "claims").iterdir(), *(out / ".fleet" / "work").iterdir()]
    if left:
        raise SystemExit(f"left behind: {left}")


def equal(options: argparse.Namespace) -> None:
    """The same bytes by a loop, by one and two processes and by one and two actors."""
    drives, work = options.work / "drives", options.work
    make_drives(drives, options.seconds)
    print(f"load {os.getloadavg()[0]:.1f}")
    kinds: list[tuple[object, ...]] = [("--workers", 1), ("--workers", 2)]
    if options.ray:
        kinds += [("--executor", "ray", "--workers", n) for n in (1, 2)]
    found = {}
    for kind in kinds:
        name = " ".join(map(str, kind))
        out = work / "equal"
        shutil.rmtree(out, ignore_errors=True)
        with stopwatch(name):
            code = subprocess.run(command(drives, out, *kind), capture_output=True).returncode
        if code != 3:
            raise SystemExit(f"{name}: exit code {code}, must be 3")
        check_books(out)
        found[name] = digest(out)
        print(f"  {found[name]}")
    for state in read_manifest(work / "equal"):
        if state.status == "quarantined":
            print(f"  {state.recording}: {state.reason}")
    if len(set(found.values())) != 1:
        raise SystemExit("the bytes differ")


def kills(options: argparse.Namespace) -> None:
    """Ten workers and three drivers killed, the disk full once, a recording replaced: nothing lost, nothing twice."""
    drives, work, rng = options.work / "drives", options.work, random.Random(options.seed)
    make_drives(drives, options.seconds)
    reference, out = work / "reference", work / "kills"
    for folder in (reference, out, work / "kill_drives"):
        shutil.rmtree(folder, ignore_errors=True)
    drives = Path(shutil.copytree(drives, work / "kill_drives"))
    replaced = drives / "drive_1010"
    shutil.rmtree(replaced)
    write_bag(replaced, Drive(7, options.seconds, image_size=(99, 176), threads=1), rate_hz=2.0)
    subprocess.run(command(drives, reference, "--workers", 2), capture_output=True)
    shutil.rmtree(replaced)
    shutil.copytree(work / "drives" / "drive_1010", replaced)
    ledger, workers, drivers, swapped = Ledger(out), 0, 0, False

    def start(limit: str = "unlimited") -> subprocess.Popen[bytes]:
        arguments = command(drives, out, "--resume", "--workers", 2, "--retries", 10)
        shell = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "-", *arguments]
        return subprocess.Popen(shell, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    full = start(limit="20")  # of 1024 bytes: less than a result
    print(f"on a full disk: exit code {full.wait()}, {count(out)}")
    process = start()
    while process.poll() is None or workers < 10 or drivers < 3:
        if process.poll() is not None:
            # All was done before enough were killed: take some results away, as a user might.
            for path in sorted(out.glob("drive_*"))[:8]:
                shutil.rmtree(path)
            process = start()
        busy = ledger.working()
        if not swapped and "drive_1010" in busy:
            shutil.rmtree(replaced)
            write_bag(replaced, Drive(7, options.seconds, image_size=(99, 176), threads=1), rate_hz=2.0)
            swapped = True
            print(f"replaced drive_1010 while it was being read, {count(out)}")
        elif busy and workers < 10 and rng.random() < 0.3:
            with_pid = [facts["pid"] for facts in busy.values() if facts.get("worker") != "driver"]
            if with_pid and kill(rng.choice(with_pid)):
                workers += 1
        elif workers >= 3 * (drivers + 1) and drivers < 3:
            process.kill()
            process.wait()
            drivers += 1
            print(f"killed driver {drivers} after {workers} workers, {count(out)}")
            process = start()
        time.sleep(rng.uniform(0.05, 0.4))
    print(f"killed {workers} workers and {drivers} drivers, replaced: {swapped}")
    if not swapped:
        raise SystemExit("drive_1010 was never seen in work; try another --seed")
    check_books(out)
    for folder in (reference, out):
        print(f"  {folder.name}: {digest(folder)}")
    if digest(reference) != digest(out):
        raise SystemExit("the bytes differ")


def count(out: Path) -> str:
    return str({status: n for status, n in read_status(out).counts.items() if n}) if out.exists() else "nothing there"


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def overhead(options: argparse.Namespace) -> None:
    """CPU time of the loop, of processes and of actors on long recordings, also in chunks, and whether bytes differ."""
    first, *others = drives = [options.work / "long" / f"long_{k}" for k in range(options.recordings)]
    if not first.exists():
        write_bag(first, Drive(1000, options.seconds, image_size=(99, 176), threads=1), rate_hz=2.0)
    for other in others:
        if not other.exists():
            shutil.copytree(first, other)
    recordings = find_recordings([str(drive) for drive in drives])
    print(f"{len(recordings)} recordings of {options.seconds:g} s, load {os.getloadavg()[0]:.1f}")
    if options.ray:
        from flashocc_ros.fleet.ray_seats import ray_cluster, ray_seats

        with stopwatch("Ray's start"):
            cluster = ray_cluster(None, 1, 1, 0.0)
            cluster.__enter__()
        try:
            for n in options.workers:
                with (
                    fleet_run(options.work, recordings, options.chunk_s) as (task, go),
                    stopwatch(f"ray {n}", RAY_SETTLES_S),
                ):
                    go(ray_seats(task, n, 1, 0.0))
        finally:
            cluster.__exit__(None, None, None)
        return
    work, out = PredictWork(VARIANT), options.work / "loop"
    shutil.rmtree(out, ignore_errors=True)
    with stopwatch("loop"):
        work.open()
        for recording in recordings:
            attempt(recording, work, Ledger(out), out, "loop")
    for n in options.workers:
        with fleet_run(options.work, recordings, options.chunk_s) as (task, go), stopwatch(f"pool {n}"):
            go(local_seats(task, n, 1, 0.0))
        if digest(task.out) != digest(out):
            raise SystemExit("the bytes differ")


@contextmanager
def fleet_run(folder: Path, recordings: list[Recording], chunk_s: float) -> Iterator[tuple[Task, Any]]:
    """A task of predicting into a new folder, and what runs it on seats."""
    out, work = folder / "out", PredictWork(VARIANT, chunk_s=chunk_s)
    shutil.rmtree(out, ignore_errors=True)

    def go(seats: Any) -> None:
        with FleetProgress({r.name: r.bytes for r in recordings}, quiet=True) as progress:
            summary = run(
                recordings, seats, Ledger(out), out, work.settings, retries=0, progress=progress, shared=work.shared
            )
        if summary.done != len(recordings):
            raise SystemExit(f"{summary}")

    yield Task(work, out), go


@contextmanager
def stopwatch(name: str, settle_s: float = 0.0) -> Iterator[None]:
    """Prints wall time and CPU time, that of ended children included; Ray's own processes by what the machine spent."""
    before, begin_s = cpu_s(), time.monotonic()
    yield
    wall_s = time.monotonic() - begin_s
    time.sleep(settle_s)
    print(f"{name}: {wall_s:.1f} s, {cpu_s() - before:.2f} s of CPU, load {os.getloadavg()[0]:.1f}")


def cpu_s() -> float:
    """CPU time of this process, its ended children, and every living process with its mark, as Ray's servers have."""
    total = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
                for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))  # fmt: skip
    for process in Path("/proc").glob("[0-9]*"):
        try:
            spent_s = process_cpu_s(int(process.name))
        except OSError:
            continue
        if int(process.name) != os.getpid() and os.environ["FLEET_MARK"] in marks(process):
            total += spent_s
    return total


def marks(process: Path) -> str:
    try:
        return (process / "environ").read_text(errors="replace")
    except OSError:
        return ""


@dataclass
class SleepWork:
    """A recording's time and the size of its result, made up from its name."""

    scale: float = 0.0
    goes_on: bool = False
    shared: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {"work": "sleep"}

    def open(self) -> str:
        return "sleeps"

    def make(self, name: str, location: str, folder: Path, tell: Tell) -> Made:
        length_s = 20 + int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
        time.sleep(self.scale * length_s)
        tell(length_s, length_s)
        (folder / name).mkdir()
        (folder / name / "result").write_bytes(bytes(length_s))
        return Made(length_s, float(length_s), "rig")


def simulated(options: argparse.Namespace) -> None:
    """Thousands of recordings whose work is a short sleep: memory of the driver, time of the books."""
    rows = []
    for number in options.counts:
        folder = options.work / "simulated"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "drives").mkdir(parents=True)
        for k in range(number):
            (folder / "drives" / f"r{k:05d}.mcap").write_bytes(b"\x89MCAP0\r\n" + f"{k}".encode())
        out = folder / "out"
        begin_s = time.monotonic()
        recordings = find_recordings([f"{folder}/drives/*.mcap"])
        listed_s = time.monotonic() - begin_s
        work, ledger = SleepWork(options.scale), Ledger(out)
        memory = Memory()
        with FleetProgress({r.name: r.bytes for r in recordings}, quiet=True) as progress:
            progress.finished = memory.watch(progress.finished)  # type: ignore[method-assign]
            seats = local_seats(Task(work, out), 2, 1, 0.0)
            spent = cpu_s()
            begin_s = time.monotonic()
            summary = run(recordings, seats, ledger, out, work.settings, retries=0, progress=progress)
            wall_s, spent = time.monotonic() - begin_s, cpu_s() - spent
        begin_s = time.monotonic()
        write_manifest(ledger, out)
        manifest_s = time.monotonic() - begin_s
        begin_s = time.monotonic()
        status = read_status(out)
        status_s = time.monotonic() - begin_s
        begin_s = time.monotonic()
        todo, settled = choose(recordings, ledger, out, True)
        resume_s = time.monotonic() - begin_s
        if summary.done != number or status.counts["done"] != number or todo or len(settled) != number:
            raise SystemExit(f"{summary} {status.counts}")
        rows.append(
            f"{number} recordings: {wall_s:.1f} s, {1e3 * spent / number:.2f} ms of CPU each; list {listed_s:.2f} s, "
            f"manifest {manifest_s:.2f} s, status {status_s:.2f} s, what to resume {resume_s:.2f} s; driver "
            f"{memory.tenth_mb:.0f} MB after a tenth, {memory.last_mb:.0f} MB at the end"
        )
        print(rows[-1])
        shutil.rmtree(folder)


class Memory:
    """What the driver holds after every recording."""

    def __init__(self) -> None:
        self.values_mb: list[float] = []

    def watch(self, finished: Any) -> Any:
        def watched(name: str, frames: int) -> None:
            self.values_mb.append(held_bytes() / 1e6)
            finished(name, frames)

        return watched

    @property
    def tenth_mb(self) -> float:
        return self.values_mb[len(self.values_mb) // 10]

    @property
    def last_mb(self) -> float:
        return self.values_mb[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function in (equal, kills, overhead, simulated):
        sub = commands.add_parser(function.__name__, help=function.__doc__)
        sub.set_defaults(function=function)
        sub.add_argument("--work", type=Path, default=Path("out/fleet_benchmark"))
        sub.add_argument("--seconds", type=float, default=60.0 if function is overhead else 1.0)
        if function in (equal, overhead):
            sub.add_argument("--ray", action="store_true")
        if function is kills:
            sub.add_argument("--seed", type=int, default=0)
        if function is overhead:
            sub.add_argument("--recordings", type=int, default=4)
            sub.add_argument("--chunk-s", type=float, default=0.0, help="Of the workers; the loop is never cut.")
            sub.add_argument("--workers", type=int, nargs="*", default=[1, 2])
        if function is simulated:
            sub.add_argument("--counts", type=int, nargs="*", default=[1000, 3000, 10_000])
            sub.add_argument("--scale", type=float, default=0.0, help="Seconds of sleep per recorded second.")
    options = parser.parse_args()
    options.work = options.work.absolute()
    options.function(options)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("FLEET_MARK", f"fleet_mark_{os.getpid()}")
    main()
