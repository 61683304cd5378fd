"""The live half of the benchmark (see bench.py): loss, CPU, idling, memory.

Each trial has two private network namespaces and a cable (veth) between them: `blast` sends
from one, one reader runs in the other. Nothing else is on the wire, so the reader must have
counted exactly the frames that arrived according to the kernel.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

RATE_FULL, RATE_MIXED, RATE_MEMORY = 81_000, 200_000, 100_000  # frames a second
ROUNDS = 3
RUNS_MEMORY = 5
# The kernel delivers a block that is not full only after a timeout.
SETTLE = 1.6
PORT = 6667
FETCH = """
import http.client, sys
client = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
client.request("GET", sys.argv[2])
answer = client.getresponse()
sys.stdout.buffer.write(answer.read())
sys.exit(answer.status != 200)
"""


class Cable:
    """Two namespaces and a cable between them: snd0 in one, cap0 in the other."""

    def __init__(self, bench):
        self.bench = bench
        self.sender, self.receiver = (f"brightstat-{side}-{os.getpid()}" for side in ("tx", "rx"))

    def __enter__(self):
        try:
            for name in (self.sender, self.receiver):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
                for which in ("all", "default"):
                    key = f"net.ipv6.conf.{which}.disable_ipv6=1"
                    ip("netns", "exec", name, "sysctl", "-qw", key)
            ip("-n", self.sender, "link", "add", "snd0", "type", "veth",
               "peer", "name", "cap0", "netns", self.receiver)  # fmt: skip
            for name, device in ((self.sender, "snd0"), (self.receiver, "cap0")):
                ip("-n", name, "link", "set", device, "arp", "off", "txqueuelen", "10000", "up")
            time.sleep(0.3)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in (self.sender, self.receiver):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20)

    def blast(self, path, rate, frames):
        """Sends that many frames at that rate; returns how many the kernel accepted."""
        command = ["ip", "netns", "exec", self.sender, self.bench.helpers / "blast"]
        command += ["snd0", path, str(rate), str(frames)]
        timeout = 60 + 3 * frames / rate
        run = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
        return int(run.stdout)

    def arrived(self):
        """Frames that have arrived at the end of the cable."""
        show = ip("-n", self.receiver, "-s", "-j", "link", "show", "dev", "cap0")
        return json.loads(show)[0]["stats64"]["rx"]["packets"]

    def get(self, path):
        """A page of the reader's web server."""
        command = ["ip", "netns", "exec", self.receiver, sys.executable, "-I", "-c", FETCH]
        run = subprocess.run([*command, str(PORT), path], capture_output=True, timeout=40)
        if run.returncode:
            raise RuntimeError(f"{path}: {(run.stderr or run.stdout)[-300:]}")
        return run.stdout


def ip(*arguments):
    return subprocess.run(
        ["ip", *arguments], check=True, capture_output=True, text=True, timeout=20
    ).stdout


class Reader:
    """A program that captures cap0, running in the receiving namespace."""

    command, ready, environment, stop_signal = [], "", {}, signal.SIGTERM

    def __init__(self, cable, directory):
        self.cable = cable
        self.log = Path(directory) / "log"
        self.process = None

    def start(self):
        command = ["ip", "netns", "exec", self.cable.receiver, *map(str, self.command)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command[0]} does not capture: {self.output()[-800:]}")
            time.sleep(0.1)
        time.sleep(0.5)

    def is_ready(self):
        return re.search(self.ready, self.output())

    def output(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        """Asks it to end and waits; kills it if it does not end."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def counts(self):
        """Frames counted, and frames known to be lost. May stop the reader."""
        raise NotImplementedError

    def cpu_seconds(self):
        """Time of all threads on a CPU so far. /proc/PID/stat counts ticks of 10 ms instead, and
        charges each to whoever runs when it comes: brightstat's few bursts a second are a lottery."""
        return self.activity()[1] / 1e9

    def status(self, key):
        """A number of /proc/PID/status."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.M)[1])

    def activity(self):
        """Wake-ups and nanoseconds on a CPU, over all threads."""
        wakeups = nanoseconds = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            text = (task / "status").read_text()
            wakeups += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])
            nanoseconds += int((task / "schedstat").read_text().split()[0])
        return wakeups, nanoseconds


class Brightstat(Reader):
    """With its defaults: the configuration file is empty."""

    ready = "cap0: capturing"
    config = ""

    def __init__(self, cable, directory):
        super().__init__(cable, directory)
        config = Path(directory) / "brightstat.toml"
        config.write_text(self.config, encoding="utf8")
        self.command = [
            cable.bench.binary, "run", "--config", config, "--interface", "cap0",
            "--listen", f"127.0.0.1:{PORT}", "--database", Path(directory) / "db/brightstat.db",
        ]  # fmt: skip

    def json(self, path):
        return json.loads(self.cable.get(f"/api/v1/{path}"))

    def counts(self):
        """The counts, once two snapshots, a second apart, agree."""
        before = None
        for _ in range(15):
            live = self.json("live?top=0")
            now = live["totals"]["packets"], sum(live["drops"].values())
            if now == before:
                break
            before = now
            time.sleep(1.2)
        return now


class WithoutNames(Brightstat):
    """Without listening for names."""

    config = '[names]\nlevel = "none"\n'


class Darkstat(Reader):
    """As Debian ships it."""

    extra = ()

    def __init__(self, cable, directory):
        super().__init__(cable, directory)
        self.command = [
            "darkstat", "-i", "cap0", "-b", "127.0.0.1", "-p", PORT, "--no-daemon", "--no-dns",
            "--user", "root", "--chroot", directory, *self.extra,
        ]  # fmt: skip

    def is_ready(self):
        with contextlib.suppress(RuntimeError):
            return self.cable.get("/graphs.xml")

    def counts(self):
        graphs = self.cable.get("/graphs.xml").decode()
        seen, dropped = (int(re.search(rf' {key}="(\d+)"', graphs)[1]) for key in ("pc", "pd"))
        return seen - dropped, dropped


class WakefulDarkstat(Darkstat):
    """Without its nap (see nonap.c), with room for many hosts, and with a filter. Without a filter,
    libpcap delivers whole frames to it."""

    extra = ("--hosts-max", 40_000, "--hosts-keep", 30_000, "-f", "ip or not ip")

    def __init__(self, cable, directory):
        super().__init__(cable, directory)
        self.environment = {"LD_PRELOAD": str(cable.bench.helpers / "nonap.so")}


class UnfilteredWakefulDarkstat(WakefulDarkstat):
    """Without its nap, otherwise as shipped."""

    extra = ()


class Tcpdump(Reader):
    ready, stop_signal = "listening on", signal.SIGINT
    command = "tcpdump -n -i cap0 -w /dev/null -s 96 -B 8192".split()

    def counts(self):
        self.stop()
        found = (re.search(rf"(\d+) packets? {what}", self.output())
                 for what in ("captured", "dropped by kernel"))  # fmt: skip
        return tuple(int(number[1]) for number in found)


class Count(Reader):
    """The bare libpcap loop."""

    ready = "capturing"

    def __init__(self, cable, directory):
        super().__init__(cable, directory)
        self.command = [cable.bench.helpers / "count", "cap0"]

    def counts(self):
        self.stop()
        return tuple(map(int, self.output().split()[-2:]))


@contextlib.contextmanager
def running(bench, kind):
    """A reader on a fresh cable; removes both afterwards."""
    with tempfile.TemporaryDirectory(prefix="brightstat-bench-") as directory, Cable(bench) as cable:
        os.chmod(directory, 0o755)  # the daemon gives up root
        reader = kind(cable, directory)
        try:
            reader.start()
            yield reader
        finally:
            reader.stop()


Trial = namedtuple("Trial", "sent arrived counted dropped cpu")


def feed(reader, path, rate, frames):
    """Sends frames to a running reader and lets it finish."""
    sent = reader.cable.blast(path, rate, frames)
    time.sleep(SETTLE)
    return sent


def trial(bench, kind, path, rate, seconds):
    """Sends to a fresh reader and counts."""
    with running(bench, kind) as reader:
        cpu = reader.cpu_seconds()
        sent = feed(reader, path, rate, rate * seconds)
        cpu = reader.cpu_seconds() - cpu
        arrived = reader.cable.arrived()
        result = Trial(sent, arrived, *reader.counts(), cpu)
    bench.say(f"  {kind.__name__}: {result}")
    return result


def lost_percent(one):
    return 100 * (one.arrived - one.counted) / one.arrived


def contest(bench, path, rate, seconds):
    """tcpdump, then brightstat, until a round has no loss or no rounds are left."""
    rounds = []
    for _ in range(ROUNDS):
        rounds.append([trial(bench, kind, path, rate, seconds) for kind in (Tcpdump, Brightstat)])
        if all(one.counted == one.arrived for one in rounds[-1]):
            break
    return rounds


def judge(bench, figure, rounds, darkstat):
    """Adds the loss of a contest to the table, and whether all sums are exact."""
    fair = [ours for reference, ours in rounds if reference.counted == reference.arrived]
    reference, ours = rounds[-1]
    if fair:
        ours = min(fair, key=lost_percent)
    verdict = None if fair else "void"
    bench.table.add(
        f"{figure}: lost, %", lost_percent(ours), lost_percent(darkstat), lost_percent(reference),
        target=0, form="{:.2f}", verdict=verdict,
    )  # fmt: skip
    if len(rounds) > 1:
        all_lost = [tuple(one.arrived - one.counted for one in pair) for pair in rounds]
        bench.table.note(f"{figure}: (tcpdump, brightstat) lost {all_lost} frames, by round")
    every = [one for _, one in rounds]
    is_exact = all(one.sent == one.arrived == one.counted + one.dropped for one in every)
    bench.table.exact(f"{figure}: sent = counted + dropped", is_exact)


def measure_loss(bench):
    """A gigabit of full frames."""
    path = bench.capture("home", 20_000, 1514)
    seconds = 3 if bench.quick else 6
    rounds = contest(bench, path, RATE_FULL, seconds)
    darkstat = trial(bench, Darkstat, path, RATE_FULL, seconds)
    judge(bench, f"{RATE_FULL:,} full frames/s", rounds, darkstat)


def measure_cpu(bench):
    """Loss and CPU at a high rate of frames of mixed sizes."""
    path = bench.capture("home", 20_000)
    seconds = 4 if bench.quick else 10
    rounds = contest(bench, path, RATE_MIXED, seconds)
    kinds = (Darkstat, WakefulDarkstat, UnfilteredWakefulDarkstat, Count)
    napping, filtered, unfiltered, count = (
        trial(bench, kind, path, RATE_MIXED, seconds) for kind in kinds
    )
    judge(bench, f"{RATE_MIXED:,} mixed frames/s", rounds, napping)

    def cost(one):
        """Microseconds of CPU for each counted frame."""
        return 1e6 * one.cpu / one.counted

    ours = cost(rounds[-1][1])
    figure = "CPU a frame, us"
    bench.table.add(figure, ours, cost(unfiltered), cost(count), form="{:.3f}")
    bench.table.add(f"{figure}, darkstat given a filter", ours, cost(filtered), form="{:.3f}")
    bench.table.add("CPU / darkstat's", ours / cost(unfiltered), target=0.4, form="{:.2f}")
    bench.table.note(
        "darkstat's CPU a frame is with its nap removed (LD_PRELOAD); it counted "
        f"{unfiltered.counted / unfiltered.arrived:.1%}, with a filter "
        f"{filtered.counted / filtered.arrived:.1%} of the frames"
    )


def measure_idle(bench):
    """Wake-ups and CPU on a quiet network."""
    seconds = 5 if bench.quick else 10
    figures = []
    for kind in (Brightstat, Darkstat, Count):
        with running(bench, kind) as reader:
            time.sleep(3)
            start, before = time.monotonic(), reader.activity()
            time.sleep(seconds)
            after, elapsed = reader.activity(), time.monotonic() - start
            figures.append([(b - a) / elapsed for a, b in zip(before, after)])
    wakeups, nanoseconds = zip(*figures)
    bench.table.add("idle: wake-ups a second", *wakeups, target=5, form="{:.1f}")
    shares = [100 * each / 1e9 for each in nanoseconds]
    bench.table.add("idle: CPU, %", *shares, target=0.2, form="{:.3f}")


def resident(bench, kind, profile, frames):
    """VmRSS in kB after this traffic, and the number of hosts (brightstat only)."""
    with running(bench, kind) as reader:
        feed(reader, bench.capture(profile, 100_000), RATE_MEMORY, frames)
        size = reader.status("VmRSS")
        counted, dropped = reader.counts()
        hosts = reader.json("hosts?limit=1")["count"] if kind is Brightstat else 0
    bench.say(f"  {kind.__name__}, {profile}: {size:,} kB, {hosts:,} hosts, "
              f"{counted:,} frames, {dropped:,} dropped")  # fmt: skip
    return size, hosts


def measure_memory(bench):
    """Resident memory at home, the worst of five runs, and the additional cost of a host."""
    frames = RATE_MEMORY * (2 if bench.quick else 5)
    ours = [resident(bench, Brightstat, "home", frames)[0] for _ in range(RUNS_MEMORY)]
    others = [resident(bench, kind, "home", frames)[0] for kind in (Darkstat, Count)]
    figure = f"RSS, home traffic, worst of {RUNS_MEMORY}, kB"
    bench.table.add(figure, max(ours), *others, target=20_480)
    bare = max(resident(bench, WithoutNames, "home", frames)[0] for _ in range(RUNS_MEMORY))
    bench.table.add(f"the same without names, worst of {RUNS_MEMORY}, kB", bare, *others, target=16_384)
    few, many = (
        [resident(bench, kind, profile, frames) for kind in (Brightstat, WakefulDarkstat)]
        for profile in ("h1000", "h10000")
    )
    hosts = many[0][1] - few[0][1]
    each = [1_024 * (b[0] - a[0]) / hosts for a, b in zip(few, many)]
    bench.table.add(f"bytes a host ({hosts:,} more)", *each, target=1_024)


def measure_flood(bench):
    """A million spoofed addresses, each seen once, amid home traffic."""
    frames = 400_000 if bench.quick else 2_000_000
    path = bench.capture("scan", frames, 128)
    with running(bench, Darkstat) as reader:
        feed(reader, path, RATE_MEMORY, frames)
        darkstat = reader.status("VmRSS")
    with running(bench, Brightstat) as reader:
        sent = feed(reader, path, RATE_MEMORY, frames)
        size, arrived = reader.status("VmRSS"), reader.cable.arrived()
        counted, dropped = reader.counts()
        table = reader.json("hosts?limit=0")
        page_size = reader.status("VmRSS")
    bench.say(f"  sent {sent:,}, arrived {arrived:,}, counted {counted:,}, dropped {dropped:,}")
    bench.table.add(f"RSS after {frames // 2:,} addresses, kB", size, darkstat, target=32_768)
    bench.table.add("RSS after 1,000 hosts were asked for, kB", page_size, target=32_768)
    bench.table.exact("flood: sent = counted + dropped", sent == arrived == counted + dropped)

    def total(key, way):
        rows = sum(row[f"{key}_{way}"] for row in table["hosts"])
        return rows + table["other"][f"{key}_{way}"] + table["none"][key]

    ways = [(key, way) for key in ("packets", "bytes") for way in ("in", "out")]
    is_exact = all(total(key, way) == table["total"][key] for key, way in ways)
    is_exact &= table["total"]["packets"] == counted
    bench.table.exact("flood: hosts + other + none = total", is_exact)
