"""A Debian machine with a booted systemd, in a folder: systemd-nspawn with a network of its own.

The machine has one cable, host0 at 10.99.0.2; at its other end (10.99.0.1) is a namespace from
which the tests act as the network's clients. Needs root. close() removes everything.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

OURS, THEIRS = "10.99.0.2", "10.99.0.1"
PORT = 667
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*command, check=True, **more):
    """Runs a command; if it fails, the error contains its output.

    In a session of its own: apt talks to the terminal, which would stop us in the background.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, start_new_session=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done


def wait_for(what, ready, seconds=60):
    """Waits until ready() returns something true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = ready()
            if found:
                return found
            problem = "not yet"
        except (OSError, AssertionError, ValueError) as error:
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for: {what}: {problem}")
        time.sleep(0.1)


def udp_frame(to_mac, from_mac, source, to, size):
    """An Ethernet frame of `size` bytes: UDP over IPv4, its payload zeros."""
    payload = size - 14 - 20 - 8
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + payload, 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    check = struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    udp = struct.pack("!HHHH", 40_000, 4_242, 8 + payload, 0)
    return to_mac + from_mac + b"\x08\0" + head[:10] + check + head[12:] + udp + bytes(payload)


class Inside:
    """Runs the body of `with` in a network namespace: this thread only."""

    def __init__(self, name):
        self.path = f"/run/netns/{name}"

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._enter(self.path)

    def __exit__(self, *_):
        if libc.setns(self.home, CLONE_NEWNET) != 0:
            os._exit(70)  # Anything after this would run in the wrong network.
        os.close(self.home)

    @staticmethod
    def _enter(path):
        there = os.open(path, os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {path}")
        finally:
            os.close(there)


# In a mount namespace of its own: systemd wants a pure cgroup2 tree, whatever this machine has.
# From within the network: the process that mounts /sys decides whose network cards are in it.
BOOT = """
mount --make-rprivate /
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
exec nsenter --net="/run/netns/$2" systemd-nspawn --directory="$1" --boot --register=no --keep-unit \\
    --network-namespace-path="/run/netns/$2" --hostname=pi --console=pipe $3
"""


class Machine:
    """One machine; `with Machine(tar) as machine:` boots it, and removes it at the end."""

    number = 0

    def __init__(self, tar, log):
        Machine.number += 1
        self.name = f"bsp{os.getpid()}-{Machine.number}"
        self.outside = self.name + "o"
        self.folder = tempfile.mkdtemp(prefix="brightstat-machine-")
        self.root = os.path.join(self.folder, "root")
        self.log = log
        self.nspawn = None
        os.mkdir(self.root)
        run("tar", "-xf", tar, "-C", self.root)
        with open(f"{self.root}/etc/resolv.conf", "w", encoding="utf8") as file:
            file.write("")

    def __enter__(self):
        try:
            for name in (self.name, self.outside):
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
                # No unsolicited packets: neighbour discovery would be counted.
                run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                    "net.ipv6.conf.default.disable_ipv6=1")
            run("ip", "-n", self.name, "link", "add", "host0", "type", "veth", "peer", "name", "out0",
                "netns", self.outside)
            run("ip", "-n", self.name, "addr", "add", OURS + "/24", "dev", "host0")
            run("ip", "-n", self.outside, "addr", "add", THEIRS + "/24", "dev", "out0")
            run("ip", "-n", self.name, "link", "set", "host0", "up")
            run("ip", "-n", self.outside, "link", "set", "out0", "up")
            run("ip", "-n", self.name, "route", "add", "default", "via", THEIRS)
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def boot(self, options=""):
        """Switches the machine on and waits until it is up."""
        console = open(self.log, "ab")  # pylint: disable=consider-using-with
        self.nspawn = subprocess.Popen(  # pylint: disable=consider-using-with
            ["unshare", "--mount", "sh", "-c", BOOT, "boot", self.root, self.name, options],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        console.close()
        wait_for("systemd to come up", lambda: self.run(
            "systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"))

    def leader(self):
        """The machine's process 1, as seen from outside."""
        if self.nspawn is None or self.nspawn.poll() is not None:
            raise AssertionError(f"the machine is off; see {self.log}")
        pid = self.nspawn.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf8") as file:
            children = file.read().split()
        if not children:
            raise AssertionError("the machine has no process yet")
        return children[0]

    def run(self, *command, check=True, **more):
        """Runs a command in the machine, as root."""
        return run("nsenter", "--target", self.leader(), "--mount", "--uts", "--ipc", "--net",
                   "--pid", "--cgroup", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                   "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "TERM=dumb", *command,
                   check=check, **more)

    def sh(self, script, check=True):
        """Runs a script in the machine; returns its output."""
        return self.run("sh", "-ec", script, check=check).stdout

    def show(self, unit, what):
        """A property of a unit."""
        return self.run("systemctl", "show", unit, "--property", what, "--value").stdout.strip()

    def stop(self):
        """Shuts down cleanly, as the power key does."""
        self.sh("systemctl --no-block poweroff")
        self.nspawn.wait(90)

    def cut(self):
        """Cuts the power: every process ends at once."""
        os.kill(int(self.leader()), signal.SIGKILL)
        self.nspawn.wait(30)

    def reboot(self):
        """Shuts down and boots again."""
        self.stop()
        self.boot()

    def close(self):
        """Removes everything."""
        if self.nspawn is not None and self.nspawn.poll() is None:
            try:
                self.cut()
            except (AssertionError, OSError, subprocess.TimeoutExpired):
                os.killpg(self.nspawn.pid, signal.SIGKILL)
                self.nspawn.wait(30)
        for name in (self.name, self.outside):
            run("ip", "netns", "del", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, path, text):
        """Writes a file in the machine."""
        whole = self.root + path
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf8") as file:
            file.write(text)

    def put(self, source, path):
        """Copies a file into the machine."""
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        shutil.copy(source, self.root + path)

    def exists(self, path):
        """Whether a file or a link exists in the machine."""
        return os.path.lexists(self.root + path)

    def install(self, *debs):
        """apt install, without anybody to answer questions."""
        names = []
        for deb in debs:
            name = "/var/tmp/" + os.path.basename(deb)
            self.put(deb, name)
            names.append(name)
        return self.run("apt-get", "install", "--yes", "--no-install-recommends", *names).stdout

    def get(self, path, timeout=20):
        """Requests a page from the other end of the cable; returns status and text."""
        with Inside(self.outside):
            try:
                with urllib.request.urlopen(f"http://{OURS}:{PORT}{path}", timeout=timeout) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

    def api(self, path):
        """The API's answer as an object."""
        status, text = self.get("/api/v1/" + path)
        assert status == 200, f"{path}: {status} {text}"
        return json.loads(text)

    def wait_for_page(self):
        """Waits until the page answers."""
        wait_for("the page", lambda: self.get("/api/v1/status", timeout=5)[0] == 200)

    def send(self, count, source="10.99.0.7", size=200, pause=0.0, namespace=None, interface="out0"):
        """Sends `count` UDP frames of `size` bytes from `source` to 10.99.0.9, usually on out0."""
        frame = udp_frame(bytes.fromhex("020000000009"), bytes.fromhex("020000000007"), source, "10.99.0.9", size)
        with Inside(namespace or self.outside):
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
                out.bind((interface, 0))
                for _ in range(count):
                    out.send(frame)
                    if pause:
                        time.sleep(pause)

    def counted(self, source="10.99.0.7"):
        """Packets and bytes of a sender that the monitor has counted."""
        hosts = self.api(f"hosts?name={source}")["hosts"]
        return (hosts[0]["packets_out"], hosts[0]["bytes_out"]) if hosts else (0, 0)

    def wait_for_count(self, expected, source="10.99.0.7", seconds=20):
        """Waits until exactly these packets and bytes of a sender have been counted."""
        try:
            wait_for(f"{expected} of {source} to be counted", lambda: self.counted(source) == expected, seconds)
        except AssertionError as error:
            status = self.api("status")
            raise AssertionError(
                f"{error}: {self.counted(source)}; drops {status['drops']}; interfaces {status['interfaces']}\n"
                + self.sh("journalctl -b -u brightstat -o short-precise | tail -20")) from error


class Asking(threading.Thread):
    """Requests the page over and over, one request after another, until told to stop."""

    def __init__(self, machine):
        super().__init__()
        self.machine, self.over = machine, threading.Event()
        # Held while a request is running.
        self.quiet = threading.Lock()
        self.answers, self.failures = 0, []
        self.start()

    def run(self):
        while not self.over.is_set():
            with self.quiet:
                try:
                    status, text = self.machine.get("/api/v1/status")
                    if status == 200:
                        self.answers += 1
                    else:
                        self.failures.append(f"{status} {text}")
                except OSError as error:
                    self.failures.append(str(error))
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
