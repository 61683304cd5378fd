"""The web half of the benchmark (see bench.py): answers a second, and their latency.

For the throughput, the daemon has one core and the load another. For the latency nothing is
pinned: a patient client asks at a steady pace, as pages do, while the capture idles or is flooded.
"""

import json
import re
import statistics
import subprocess
import sys
import time

import bench_live
from bench_live import RATE_MEMORY, RATE_MIXED, Brightstat, feed, running

HOSTS = 1_000
ANSWERS = 1_000  # a second, at least
REFRESH = 2_048  # bytes of the page's refresh on the wire, at most
PACE = 100  # requests a second of the patient client
# Asks at a steady pace, each request on its own connection; prints milliseconds.
PATIENT = """
import http.client, json, sys, time
port, path, pace, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
took, start = [], time.monotonic()
for number in range(count):
    time.sleep(max(0, start + number / pace - time.monotonic()))
    begun = time.monotonic()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    took.append(1e3 * (time.monotonic() - begun))
print(json.dumps(took))
"""
# The size of an answer on the wire, with its head, in bytes.
SIZE = """
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
client.sendall(f"GET {sys.argv[2]} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n{sys.argv[3]}\\r\\n".encode())
answer = b""
while piece := client.recv(65536):
    answer += piece
assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
print(len(answer))
"""


class OneCore(Brightstat):
    """On the first core only."""

    def __init__(self, cable, directory):
        super().__init__(cable, directory)
        self.command = ["taskset", "-c", "0", *self.command]


def inside(reader, *command):
    """A command in the reader's namespace."""
    return ["ip", "netns", "exec", reader.cable.receiver, *map(str, command)]


def answers_a_second(reader, path, seconds, *headers):
    """The throughput that wrk gets on another core, and its 99th percentile in milliseconds."""
    url = f"http://127.0.0.1:{bench_live.PORT}{path}"
    options = ["-t1", "-c8", f"-d{seconds}s", "--latency", *headers]
    command = inside(reader, "taskset", "-c", "1", "wrk", *options, url)
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    if re.search(r"Non-2xx|Socket errors", text):
        raise RuntimeError(f"{path}: not every request was answered: {text}")
    unit = {"us": 1e-3, "ms": 1, "s": 1e3}
    latency, of = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), float(latency) * unit[of]


def measure_answers(bench):
    """Answers a second of one core with 1,000 hosts."""
    seconds = 3 if bench.quick else 8
    with running(bench, OneCore) as reader:
        feed(reader, bench.capture("h1000", 100_000), RATE_MEMORY, RATE_MEMORY * 2)
        hosts = reader.json("hosts?limit=1")["count"]
        if hosts < HOSTS:
            raise RuntimeError(f"only {hosts} hosts")
        for path in ("live", "live?top=1000", "pulse", "hosts?limit=1000"):
            rate, latency = answers_a_second(reader, f"/api/v1/{path}", seconds)
            target = ANSWERS if path == "live" else None
            figure = f"answers a second, {path}, {hosts:,} hosts"
            bench.table.add(figure, rate, target=target, sign=">=")
            bench.say(f"  {path}: 99 % within {latency:.2f} ms under full load")


def measure_refresh(bench):
    """The size of the page's refresh, once a second, while 50 or more hosts are busy."""
    with running(bench, Brightstat) as reader:
        blast = ["ip", "netns", "exec", reader.cable.sender, bench.helpers / "blast", "snd0"]
        blast += [bench.capture("h1000", 100_000), RATE_MEMORY // 2, RATE_MEMORY * 3]
        sender = subprocess.Popen([str(each) for each in blast], stdout=subprocess.DEVNULL)
        try:
            sizes = {"": [], "Accept-Encoding: gzip\r\n": []}
            for _ in range(3):
                time.sleep(1.2)
                pulse = reader.json("pulse")
                path = f"/api/v1/pulse?since={pulse['time'] - 3}"
                for header, of in sizes.items():
                    if len(pulse["hosts"]["rows"]) < 50:
                        continue
                    command = inside(reader, sys.executable, "-I", "-c", SIZE, bench_live.PORT)
                    out = subprocess.run([*command, path, header], capture_output=True, timeout=30,
                                         check=True).stdout  # fmt: skip
                    of.append(int(out))
        finally:
            sender.kill()
            sender.wait()
    plain, packed = (max(each) for each in sizes.values())
    bench.table.add("pulse of 50 hosts, bytes on the wire, plain", plain)
    bench.table.add("pulse of 50 hosts, bytes on the wire, gzip", packed, target=REFRESH)


def percentile(sample, share):
    return statistics.quantiles(sample, n=1_000, method="inclusive")[int(10 * share) - 1]


def patient(reader, count):
    """A client that asks at a steady pace."""
    command = inside(reader, sys.executable, "-I", "-c", PATIENT)
    command += [str(each) for each in (bench_live.PORT, "/api/v1/live", PACE, count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def milliseconds(client):
    out, _ = client.communicate(timeout=120)
    if client.returncode:
        raise RuntimeError("the patient client got no answer")
    return json.loads(out)


def measure_latency(bench):
    """The latency of answers while the capture idles, and while it is flooded."""
    seconds = 5 if bench.quick else 15
    with running(bench, Brightstat) as reader:
        feed(reader, bench.capture("h1000", 100_000), RATE_MEMORY, RATE_MEMORY * 2)
        idle = milliseconds(patient(reader, PACE * seconds))
        flood = bench.capture("scan", 400_000, 128)
        client = patient(reader, PACE * seconds)
        try:
            feed(reader, flood, RATE_MIXED, RATE_MIXED * (seconds + 2))
            flooded = milliseconds(client)
        finally:
            client.kill()
            client.wait()
        counted, dropped = reader.counts()
    for name, sample in (("idle", idle), (f"{RATE_MIXED:,} frames/s", flooded)):
        bench.say(f"  {name}: median {percentile(sample, 50):.2f} ms, longest {max(sample):.1f} ms")
        bench.table.add(f"live: 99 % within, ms, {name}", percentile(sample, 99), form="{:.2f}")
    ratio = percentile(flooded, 99) / percentile(idle, 99)
    bench.table.add("live: 99 % within, flooded / idle", ratio, form="{:.1f}")
    bench.say(f"  counted {counted:,} frames, dropped {dropped:,} meanwhile")
