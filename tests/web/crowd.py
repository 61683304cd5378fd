#!/usr/bin/env python3
"""Shows that a crowd does not lock others out of the page.

64 addresses of one network (48 of IPv4, 8 of one /64, 8 of separate /64s) attack the given daemon.
Each has 15 connections (or two that ask once a second). The attacks run one after another, then
all together.
Meanwhile another client requests the page's refresh once a second, on a persistent connection and
on new ones. Every few seconds it also asks the history: a question of milliseconds, and one that
takes half a second when nobody else asks. Exits with 1 if a refresh takes over 0.5 s, history over
5 s, or an answer is refused. The history is synthetic: ten years of days.

Needs root, for private network namespaces in which everything runs. Takes two minutes.
"""

import argparse
import asyncio
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PORT = 6667
REFRESH, HISTORY = 0.5, 5.0  # seconds, at most
EACH = 15  # connections of an address
DAYS, HOSTS = 3_600, 150  # days with history, and hosts in each
SERVER, VICTIM = "10.66.0.1", "10.66.0.200"
NETWORKS = 9  # /64s: fd66::, fd66:0:0:1::, ...
# LONG takes some ten seconds here, SHORTER one.
LONG = "/api/v1/history?what=hosts&from=10y&by=auto&points=500&top=100"
SHORTER = "/api/v1/history?what=hosts&from=365d&by=auto&points=500&top=100"
ATTACKS = ("nobody", "history", "shorter history", "patient history", "slow requests", "slow readers",
           "idle", "flood", "all together")  # fmt: skip
# Connections of each patient address. Asking once a second stays below the greedy limit.
PATIENT = 2


def addresses():
    """Each address of the crowd, with the server's address in its network."""
    pairs = [(f"10.66.0.{10 + number}", SERVER) for number in range(48)]
    pairs += [(f"fd66::{number:x}", "fd66::1") for number in range(0x10, 0x18)]
    pairs += [(f"fd66:0:0:{n}::10", f"fd66:0:0:{n}::1") for n in range(1, NETWORKS)]
    return pairs


# --- The crowd: runs in the senders' namespace. ---


async def attack(kind, source, server, number, counts):
    """Opens one connection after another, of one kind."""
    if kind == "patient history" and number >= PATIENT:
        return
    host = f"[{server}]" if ":" in server else server
    head = f" HTTP/1.1\r\nHost: {host}:{PORT}\r\n"
    loop = asyncio.get_running_loop()
    while True:
        counts[0] += 1
        one = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET)
        one.setblocking(False)
        if kind == "slow readers":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        try:
            one.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            one.bind((source, 0))
            await asyncio.wait_for(loop.sock_connect(one, (server, PORT)), 5)
            if kind.endswith("history"):
                path = SHORTER if kind == "shorter history" else LONG
                await loop.sock_sendall(one, f"GET {path}{head}\r\n".encode())
                while await loop.sock_recv(one, 65_536):
                    pass
                if kind == "patient history":
                    await asyncio.sleep(1)
            elif kind == "slow requests":
                for byte in f"GET /{head}X-Slow: {'x' * 999}".encode():
                    await loop.sock_sendall(one, bytes([byte]))
                    await asyncio.sleep(1)
            elif kind == "slow readers":
                path = LONG if number % 5 == 0 else "/"
                await loop.sock_sendall(one, f"GET {path}{head}\r\n".encode())
                while await loop.sock_recv(one, 512):
                    await asyncio.sleep(1)
            elif kind == "idle":
                await loop.sock_sendall(one, f"GET /api/v1/pulse{head}\r\n".encode())
                while await loop.sock_recv(one, 65_536):
                    pass
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            one.close()
        await asyncio.sleep(0 if kind == "flood" else 0.1)


async def crowd(kind, seconds):
    """Attacks from all addresses at once; prints how many connections they tried."""
    kinds = ATTACKS[1:-1] if kind == ATTACKS[-1] else [kind]
    counts, tasks = [0], []
    for at, (source, server) in enumerate(addresses()):
        for number in range(EACH):
            which = kinds[(at + number) % len(kinds)]
            tasks.append(asyncio.create_task(attack(which, source, server, number, counts)))
    await asyncio.sleep(seconds)
    print(counts[0], flush=True)
    os._exit(0)  # the kernel closes them all at once


# --- The victim: runs beside the crowd, with an address of its own. ---


class Asker(threading.Thread):
    """Asks at a steady pace; as browsers do, once more if a kept connection is gone."""

    def __init__(self, path, pace, until, stays):
        super().__init__()
        self.path, self.pace, self.until, self.stays = path, pace, until, stays
        self.took, self.refused = [], []
        self.client = None

    def run(self):
        start = time.monotonic()
        for number in range(10**6):
            when = start + number * self.pace
            if when > self.until:
                return
            time.sleep(max(0, when - time.monotonic()))
            begun = time.monotonic()
            try:
                status = self.ask()
            except (OSError, http.client.HTTPException) as e:
                status = repr(e)
            self.took.append(time.monotonic() - begun)
            if status != 200:
                self.refused.append(status)

    def ask(self):
        is_kept = self.client is not None
        try:
            return self.exchange()
        except (OSError, http.client.HTTPException):
            self.client = None
            if not is_kept:
                raise
            return self.exchange()

    def exchange(self):
        if self.client is None:
            self.client = http.client.HTTPConnection(
                SERVER, PORT, timeout=20, source_address=(VICTIM, 0)
            )
        self.client.request("GET", self.path, headers={"Accept-Encoding": "gzip"})
        answer = self.client.getresponse()
        answer.read()
        if not self.stays or answer.will_close:
            self.client.close()
            self.client = None
        return answer.status


def victim(seconds):
    until = time.monotonic() + seconds
    askers = {
        "kept": Asker("/api/v1/pulse", 1, until, True),
        "new": Asker("/api/v1/pulse", 1, until, False),
        "history": Asker("/api/v1/history?what=hosts&from=30d", 3, until, False),
        "long": Asker("/api/v1/history?what=hosts&from=3y", 3, until, False),
    }
    for each in askers.values():
        each.start()
    for each in askers.values():
        each.join()
    print(json.dumps({name: [each.took, each.refused] for name, each in askers.items()}))


# --- The whole: runs outside. ---


def ip(*arguments):
    command = ["ip", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if run.returncode:
        sys.exit(f"{' '.join(command)}: {run.stderr.strip()}")


class World:
    """Two namespaces with a cable between them, and the daemon in one of them."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, Path(directory)
        self.directory.chmod(0o755)  # the daemon's user must reach it
        self.sender, self.receiver = (f"brightstat-{side}-{os.getpid()}" for side in ("tx", "rx"))
        self.daemon = None
        self.children = []

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for name in (self.sender, self.receiver):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.sender, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns",
           self.receiver)  # fmt: skip
        for name, device in ((self.sender, "out0"), (self.receiver, "in0")):
            ip("-n", name, "link", "set", device, "up")
        for network in {server for _, server in addresses()}:
            self.add_address(self.receiver, "in0", network)
        for address in [VICTIM, *(source for source, _ in addresses())]:
            self.add_address(self.sender, "out0", address)

    def add_address(self, namespace, device, address):
        more = ["/64", "nodad"] if ":" in address else ["/24"]
        ip("-n", namespace, "addr", "add", address + more[0], "dev", device, *more[1:])

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self.stop()
        for name in (self.sender, self.receiver):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20)

    def start(self):
        config = self.directory / "brightstat.toml"
        config.touch()
        log = self.directory / "log"
        command = ["ip", "netns", "exec", self.receiver, self.binary, "run", "--config", config,
                   "--interface", "in0", "--listen", f"[::]:{PORT}", "--database",
                   self.directory / "db/brightstat.db"]  # fmt: skip
        with open(log, "wb") as out:
            self.daemon = subprocess.Popen(
                [str(each) for each in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        deadline = time.monotonic() + 20
        while "in0: capturing" not in log.read_text(errors="replace"):
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the daemon does not capture: {log.read_text(errors='replace')}")
            time.sleep(0.1)
        time.sleep(1.5)

    def stop(self):
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()

    def inside(self, *arguments, nice=0):
        """Runs this script in the senders' namespace."""
        command = ["nice", "-n", nice, "ip", "netns", "exec", self.sender, sys.executable, "-I"]
        child = subprocess.Popen(
            [str(each) for each in (*command, os.path.abspath(__file__), *arguments)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.children.append(child)
        return child

    def threads(self):
        text = Path(f"/proc/{self.daemon.pid}/status").read_text()
        return int(text.partition("Threads:")[2].split()[0])


def fill(path):
    """Ten years of days, each with its own hosts, none of which returns."""
    days = int(time.time()) // 86_400 - DAYS
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tier SET kept_since = ? WHERE seconds = 86400", [days * 86_400])
        connection.execute(
            """INSERT OR REPLACE INTO traffic_86400
                (start, kind, k1, k2, k3, packets_in, bytes_in, least_in, greatest_in,
                 packets_out, bytes_out, least_out, greatest_out, extra)
               WITH RECURSIVE
                day(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM day WHERE n + 1 < ?2),
                host(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM host WHERE n + 1 < ?3)
               SELECT (?1 + day.n) * 86400, 1, 4, 0, 184549376 + day.n * 256 + host.n,
                9, 1000 + (day.n * 7919 + host.n * 31) % 9973, 0, 99, 9, 500, 0, 9, 0
               FROM day, host""",
            [days, DAYS, HOSTS],
        )
    connection.close()


def percentile(sample, share):
    return sorted(sample)[min(len(sample) - 1, int(share * len(sample)))]


def measure(world, kind, seconds):
    """Runs one attack; returns whether all limits were met."""
    attackers = None
    if kind != "nobody":
        attackers = world.inside("--crowd", kind, "--seconds", seconds + 2, nice=5)
        time.sleep(1.5)
    child = world.inside("--victim", "--seconds", seconds)
    most = 0
    while child.poll() is None:
        most = max(most, world.threads())
        time.sleep(0.1)
    asked = json.loads(child.communicate(timeout=60)[0])
    attempts = int(attackers.communicate(timeout=60)[0]) if attackers else 0
    refresh = asked["kept"][0] + asked["new"][0]
    history, long = asked["history"][0], asked["long"][0]
    refused = [f"{name}: {why}" for name, (_, of) in asked.items() for why in of]
    print(
        f"{kind:14} {attempts:9} {len(refresh):7} {percentile(refresh, 0.99):6.3f} {max(refresh):6.3f}"
        f" {len(history):7} {max(history):6.3f} {max(long):6.3f} {len(refused):7} {most:7}"
        f" {os.getloadavg()[0]:5.1f}",
        *refused[:5], flush=True,
    )  # fmt: skip
    return max(refresh) <= REFRESH and max(history + long) <= HISTORY and not refused


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--binary", help="the daemon, a release build")
    parser.add_argument("--seconds", type=float, default=15, help="of each attack")
    parser.add_argument("--crowd", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--victim", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.crowd:
        return asyncio.run(crowd(options.crowd, options.seconds))
    if options.victim:
        return victim(options.seconds)
    if not options.binary:
        parser.error("--binary is needed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory, World(options.binary, directory) as world:
        # The first run creates the database.
        world.start()
        world.stop()
        fill(world.directory / "db/brightstat.db")
        world.start()
        print("               attempts refresh   99 %  worst history  worst   long refused threads  load")
        results = [measure(world, kind, options.seconds) for kind in ATTACKS]
    if not all(results):
        sys.exit(f"a refresh took over {REFRESH} s, history over {HISTORY} s, or was refused")


if __name__ == "__main__":
    main()
