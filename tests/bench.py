#!/usr/bin/env python3
"""The benchmark: brightstat, Debian's darkstat and a bare libpcap loop, compared in one run.

    tests/bench.py --binary target/release/brightstat
                   [--only instructions|live|memory|web] [--quick] [--check]

Prints a table: each figure of the three programs, the ratios, the target, and whether it is
met. Instruction counts are reliable on any machine. Live figures are noisy on a busy one, so a
live loss is judged only if tcpdump, run just before, lost nothing (otherwise it is "void"),
in up to three rounds.

--only          one group of figures: "instructions" (callgrind), "live" (loss, CPU, idle),
                "memory", "web" (answers a second, latency)
--quick         shorter runs: for a first look, not for the record
--check         exit 1 if a target is missed or void; without it the benchmark only reports

The traffic is synthetic (tests/bench/traffic.c); tests/bench/blast.c sends it.
Needs root (network namespaces), and cc, libpcap-dev, darkstat, valgrind, tcpdump, iproute2,
wrk.
All traffic stays between two private namespaces, which are removed at the end. Captures are
kept in target/bench for the next run. A whole run takes about 10 minutes, a quick one 4.

Exit codes: 0 done, 1 missed (--check), 69 something is missing, 77 not root.
"""

import argparse
import os
import platform
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import bench_live
import bench_web

PROJECT = Path(__file__).resolve().parent.parent
WORK = PROJECT / "target" / "bench"
HELPERS = Path(__file__).resolve().parent / "bench"
UNAVAILABLE, NOT_PERMITTED = 69, 77
NEEDS = {
    "cc": "build-essential", "darkstat": "darkstat",
    "valgrind": "valgrind", "tcpdump": "tcpdump", "ip": "iproute2", "wrk": "wrk",
    "taskset": "util-linux",
}  # fmt: skip
# Target: instructions of brightstat for a frame, by profile of traffic.c.
INSTRUCTIONS = {"home": 640, "busy": 760, "scan": 790}
COLLIDING_HOSTS = 900


def fail(code, problem, remedy):
    print(f"bench: {problem}\n       {remedy}", file=sys.stderr)
    sys.exit(code)


def say(text):
    """Prints one line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Table:
    """The figures, one a line."""

    HEAD = ("figure", "brightstat", "darkstat", "libpcap", "/darkstat", "/libpcap", "target", "")

    def __init__(self):
        self.rows, self.missed, self.notes = [], 0, []

    def add(
        self, figure, ours, darkstat=None, libpcap=None, target=None, form="{:,.0f}",
        verdict=None, sign="<=",
    ):  # fmt: skip
        """Adds a figure. It is met if it is at most the target (with ">=" at least), unless the
        caller gives a verdict."""

        def show(value):
            return "" if value is None else form.format(value)

        def ratio(other):
            return f"{ours / other:.3f}" if other else ""

        if target is not None and verdict is None:
            is_met = ours >= target if sign == ">=" else ours <= target
            verdict = "met" if is_met else "MISSED"
        self._row(
            (figure, show(ours), show(darkstat), show(libpcap), ratio(darkstat), ratio(libpcap)),
            "" if target is None else f"{sign} {show(target)}",
            verdict or "",
        )

    def exact(self, figure, is_exact):
        """Adds a sum that must be exact to the frame."""
        row = (figure, "yes" if is_exact else "NO", "", "", "", "")
        self._row(row, "exact", "met" if is_exact else "MISSED")

    def _row(self, cells, target, verdict):
        self.missed += verdict in ("MISSED", "void")
        self.rows.append((*cells, target, verdict))
        say(" | ".join(cell for cell in self.rows[-1] if cell))

    def note(self, text):
        self.notes.append(text)
        say(text)

    def print(self):
        widths = [max(map(len, column)) for column in zip(self.HEAD, *self.rows)]
        for row in (self.HEAD, tuple("-" * width for width in widths), *self.rows):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            print("  ".join(cells).rstrip())
        for text in self.notes:
            print(f"note: {text}")


class Bench:
    """Paths, options and the table, for every stage."""

    def __init__(self, arguments):
        self.binary = Path(arguments.binary).resolve()
        self.quick = arguments.quick
        self.table = Table()
        self.say = say
        self.helpers = WORK

    def check_needs(self):
        if os.geteuid() != 0:
            fail(NOT_PERMITTED, "not root", "Network namespaces need it: sudo make bench")
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        missing = {package for name, package in NEEDS.items() if not shutil.which(name)}
        if not Path("/usr/include/pcap/pcap.h").exists():
            missing.add("libpcap-dev")
        if missing:
            names = " ".join(sorted(missing))
            fail(UNAVAILABLE, f"not installed: {names}", f"apt-get install {names}")
        if not os.access(self.binary, os.X_OK):
            fail(UNAVAILABLE, f"{self.binary}: no such program", "Build it: make build")

    def build_tools(self):
        """Builds our helpers; deletes the captures of an older generator."""
        WORK.mkdir(parents=True, exist_ok=True)
        generator = WORK / "traffic"
        before = generator.read_bytes() if generator.exists() else b""
        cc = ["cc", "-Wall", "-O2"]
        for command in (
            [*cc, "-o", generator, HELPERS / "traffic.c", "-lm"],
            [*cc, "-o", WORK / "blast", HELPERS / "blast.c", "-lpcap"],
            [*cc, "-o", WORK / "floor", HELPERS / "floor.c", "-lpcap"],
            [*cc, "-o", WORK / "count", HELPERS / "count.c", "-lpcap"],
            [*cc, "-shared", "-fPIC", "-o", WORK / "nonap.so", HELPERS / "nonap.c", "-ldl"],
        ):
            built = subprocess.run(command, capture_output=True, text=True, timeout=120)
            if built.returncode:
                fail(UNAVAILABLE, f"cannot build the helpers: {built.stderr}", "See above.")
        if generator.read_bytes() != before:
            for stale in WORK.glob("*.pcap"):
                stale.unlink()

    def capture(self, profile, frames, length=None):
        """The capture file of a profile of traffic.c, all frames of this length; made once."""
        size = [] if length is None else [str(length)]
        path = WORK / f"{'-'.join([profile, str(frames), *size])}.pcap"
        if not path.exists():
            command = [WORK / "traffic", profile, str(frames), f"{path}.part", *size]
            subprocess.run(command, check=True, timeout=120)
            os.rename(f"{path}.part", path)
        return path

    # The commands with which the three programs read a file.
    def report(self, path):
        return [self.binary, "report", "--json", "--no-names", path]

    def darkstat(self, path):
        return ["darkstat", "-r", path, "--no-dns", "--no-daemon", "--user", "root", "--chroot", "/"]

    def floor(self, path):
        return [WORK / "floor", path]


def instructions(command):
    """Instructions that a command executes, over all its threads."""
    argv = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *map(str, command)]
    run = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=400)
    found = re.search(rb"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        tail = run.stderr.decode(errors="replace")[-800:]
        fail(UNAVAILABLE, f"{argv[3]} failed under valgrind: {tail}", "Run it by itself.")
    return int(found[1])


def slope(command, short, long):
    """Instructions a frame, without the cost of start and end. Each argument is (path, frames)."""
    more = instructions(command(long[0])) - instructions(command(short[0]))
    return more / (long[1] - short[1])


def measure_instructions(bench):
    """Instructions a frame while reading a file, by profile."""
    sizes = (50_000, 150_000) if bench.quick else (100_000, 500_000)
    for profile, target in INSTRUCTIONS.items():
        files = [(bench.capture(profile, frames), frames) for frames in sizes]
        figures = [slope(of, *files) for of in (bench.report, bench.darkstat, bench.floor)]
        bench.table.add(f"instructions a frame, {profile}", *figures, target=target)


def hosts_capture(path, addresses, frames):
    """Writes frames of 62 bytes, IPv6 and UDP, between random pairs of these addresses.

    The pairs depend only on the number of addresses."""
    choose = random.Random(900)
    ethernet = bytes.fromhex("020000000001" "020000000002" "86dd")
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 128, 1))
        for number in range(frames):
            one, other = choose.sample(range(len(addresses)), 2)
            second, micro = divmod(number * 100, 1_000_000)
            out.write(struct.pack("<IIII", 1_700_000_000 + second, micro, 62, 62))
            out.write(ethernet + struct.pack(">IHBB", 0x60000000, 8, 17, 64))
            out.write(addresses[one] + addresses[other])
            out.write(struct.pack(">HHHH", 40_000 + one, 443, 8, 0))


def measure_collisions(bench):
    """Compares the cost of 900 hosts that collide in naive hashes with that of 900 random ones."""
    mask = 0x3FF << 10

    def colliding(number):
        # Two words share the bits of a mask: their sum, exclusive or, union and low bits are the
        # same for all hosts. The other two words are the same anyway.
        word = number << 10
        return struct.pack(">IIII", 0xFD000000, word, mask ^ word, 1)

    rng = random.Random(1)
    sets = {
        "random": [b"\xfd" + rng.randbytes(15) for _ in range(COLLIDING_HOSTS)],
        "colliding": [colliding(number) for number in range(COLLIDING_HOSTS)],
    }
    sizes = (20_000, 60_000) if bench.quick else (50_000, 200_000)
    cost = {}
    for kind, addresses in sets.items():
        files = [(WORK / f"{kind}-{frames}.pcap", frames) for frames in sizes]
        for path, frames in files:
            if not path.exists():
                hosts_capture(f"{path}.part", addresses, frames)
                os.rename(f"{path}.part", path)
        cost[kind] = [slope(of, *files) for of in (bench.report, bench.darkstat)]
        bench.table.add(f"instructions a frame, 900 {kind} hosts", *cost[kind])
    ratios = [bad / good for bad, good in zip(cost["colliding"], cost["random"])]
    bench.table.add("colliding / random", *ratios, target=1.2, form="{:.2f}")


STAGES = {
    "instructions": (measure_instructions, measure_collisions),
    "live": (bench_live.measure_loss, bench_live.measure_cpu, bench_live.measure_idle),
    "memory": (bench_live.measure_memory, bench_live.measure_flood),
    "web": (bench_web.measure_answers, bench_web.measure_refresh, bench_web.measure_latency),
}


def machine():
    """Describes the machine in one line."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", info, re.M)
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores {model[1] if model else platform.machine()}, "
        f"Linux {platform.release()}, load {load:.1f}"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", default=PROJECT / "target/release/brightstat")
    parser.add_argument("--only", choices=STAGES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    # Makes `finally` clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

    bench = Bench(arguments)
    bench.check_needs()
    bench.build_tools()
    print(f"machine: {machine()}")
    print(f"runs: {'quick, not for the record' if bench.quick else 'full'}", flush=True)
    for group, stages in STAGES.items():
        if arguments.only in (None, group):
            for stage in stages:
                stage(bench)
    print()
    bench.table.print()
    if bench.table.missed:
        print(f"{bench.table.missed} of the targets missed or void")
    return 1 if arguments.check and bench.table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
