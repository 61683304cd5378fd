#!/usr/bin/env python3
"""run.py BINARY CAPTURE WORK-FOLDER - boots an emulated Raspberry Pi Zero, and captures on it.

QEMU emulates the whole machine, including the ARMv6 CPU; the kernel is Debian's for the Pi Zero,
and the only processes are busybox and the program. This tests what QEMU's user-mode emulation
lacks: packet sockets, the kernel's ring and filter, privileges. A capture (home.pcapng of
tests/made, with its truth beside it) is replayed on the loopback interface, and the API's answers
must match the truth to the byte.
"""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
HERE = TOP / "tests/boot"
TOOLCHAIN = TOP / "target/toolchain"
# Debian 12 is the last one with a kernel for this machine.
SUITE = "bookworm"
# Limits the run on a busy machine; alone it takes half a minute.
SECONDS = 400

CONFIG = """\
[capture]
interfaces = ["lo"]
filter = "not host 127.0.0.1"
[history]
database = "/db/brightstat.db"
"""
USERS = """\
root:x:0:0::/:/bin/sh
_brightstat:x:999:999::/:/bin/false
"""
GROUPS = "root:x:0:\n_brightstat:x:999:\n"


def fail(text):
    print(f"run.py: {text}", file=sys.stderr)
    sys.exit(1)


def apt(work, *arguments):
    """apt-get as on that machine."""
    nothing = work / "nothing-installed"
    nothing.touch()
    options = ["-qq", "-o", "APT::Architecture=armel", "-o", "APT::Architectures::=armel",
               "-o", f"Dir::State::status={nothing}"]
    command = [TOP / "debian/toolchain/apt.sh", work / "apt", SUITE, "--", *options, *arguments]
    return subprocess.run(command, check=True, cwd=work, stdout=subprocess.PIPE, text=True).stdout


def machine(work):
    """Kernel, device tree, busybox and the driver for random numbers, from Debian."""
    files = work / "debian"
    if not (files / "complete").exists():
        print("Fetching the kernel of the Pi Zero and busybox with apt (27 MB)")
        subprocess.run(["rm", "-rf", files], check=True)
        apt(work, "update")
        plan = apt(work, "--simulate", "--no-install-recommends", "install", "linux-image-rpi")
        kernel = re.search(r"^Inst (linux-image-[0-9]\S+-rpi) ", plan, re.M)
        if not kernel:
            fail(f"Debian {SUITE} has no kernel for the Pi Zero:\n{plan}")
        for old in work.glob("*.deb"):
            old.unlink()
        apt(work, "download", kernel.group(1), "busybox-static")
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, files], check=True)
        (files / "complete").touch()
    (kernel,) = files.glob("boot/vmlinuz-*")
    (tree,) = files.glob("usr/lib/linux-image-*/bcm2835-rpi-zero.dtb")
    (random,) = files.glob("lib/modules/*/kernel/drivers/char/hw_random/bcm2835-rng.ko")
    return kernel, tree, files / "bin/busybox", random


def replayer(work):
    """Builds the program that sends the frames, with the toolchain of the program under test."""
    source = work / "libpcap"
    source.mkdir(exist_ok=True)
    (tarball,) = (TOOLCHAIN / "downloads").glob("libpcap_*.orig.tar.xz")
    unpack = ["tar", "-C", source, "--strip-components=1", "-xf", tarball]
    subprocess.run(unpack, check=True)
    library = TOOLCHAIN / "pi/arm-unknown-linux-musleabihf/lib"
    program = work / "replay"
    command = [TOOLCHAIN / "pi/bin/pi-cc-armv6", "-O2", "-static", "-I", source, "-o", program,
               HERE / "replay.c", "-L", library, "-lpcap"]
    subprocess.run(command, check=True)
    return program


def initrd(path, files):
    """An archive of files in the kernel's format: cpio, "newc"."""
    out, inode = bytearray(), 0

    def entry(name, mode, data):
        nonlocal inode
        inode += 1
        fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = "070701" + "".join(f"{field:08x}" for field in fields)
        out.extend(head.encode() + name.encode() + b"\0")
        out.extend(b"\0" * (-len(out) % 4))
        out.extend(data)
        out.extend(b"\0" * (-len(out) % 4))

    for folder in ("bin", "etc"):
        entry(folder, 0o40755, b"")
    for name, (mode, data) in files.items():
        entry(name, 0o100000 | mode, data)
    entry("TRAILER!!!", 0, b"")
    path.write_bytes(gzip.compress(bytes(out), 1, mtime=0))


def boot(work, kernel, tree, archive):
    """Runs the machine until it halts; returns its console."""
    # QEMU lacks the power domains; their driver would crash the kernel.
    line = "console=ttyAMA0 rdinit=/init panic=-1 quiet initcall_blacklist=bcm2835_power_driver_init"
    # Time by instructions: see raspi0 in image/guest.py.
    command = ["qemu-system-arm", "-M", "raspi0", "-icount", "shift=2", "-kernel", kernel, "-dtb", tree, "-initrd", archive,
               "-append", line, "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio"]
    log = work / "console.log"
    with log.open("wb") as out:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            fail(f"the machine was not done within {SECONDS} s; {log} is its console")
    return log.read_text(errors="replace")


def check(console, truth):
    """The differences between the machine's output and the truth."""
    told = dict(re.findall(r"^@(\w+) ?(.*?)\r?$", console, re.M))
    for name in ("machine", "kernel", "version", "memory"):
        print(f"  {name}: {told.get(name, '?').rstrip('|')}")
    wrong = []

    def expect(what, have, want):
        if have != want:
            wrong.append(f"{what}: {have!r}, not {want!r}")

    for name in ("done", "sent", "live", "hosts", "ports", "protocols", "status", "page"):
        if name not in told:
            wrong.append(f"the machine has not told '{name}'")
    if wrong:
        return wrong + [f"its log: {told.get('log')}"]
    answers = {n: json.loads(told[n].rstrip("|")) for n in ("live", "hosts", "ports", "protocols", "status")}
    frames, wire = truth["totals"]["frames"], truth["totals"]["wire"]
    expect("frames sent", told["sent"].rstrip("|"), f"sent {frames}")
    totals = answers["live"]["totals"]
    expect("frames and bytes", (totals["packets"], totals["bytes"]), (frames, wire))
    expect("drops", answers["live"]["drops"], {"kernel": 0, "interface": 0, "ring": 0})
    expect("store", answers["status"]["store"]["trouble"], None)
    keys = {"bytes_in": "in_wire", "bytes_out": "out_wire", "packets_in": "in_pkts", "packets_out": "out_pkts"}
    hosts = {row["addr"]: {key: row[key] for key in keys} for row in answers["hosts"]["hosts"]}
    expect("hosts", hosts, {a: {k: row[keys[k]] for k in keys} for a, row in truth["hosts"].items()})
    ports = {(row["protocol"], row["port"]): (row["packets"], row["bytes"]) for row in answers["ports"]["ports"]
        # Only TCP and UDP are compared.
        if row["protocol"] != "sctp"}
    expect("ports", ports, {
        (transport, int(port)): (row["pkts"], row["wire"])
        for transport in ("tcp", "udp") for port, row in truth[f"{transport}_service"].items()
    })
    protocols = {str(row["number"]): (row["packets"], row["bytes"]) for row in answers["protocols"]["protocols"]}
    expect("protocols", protocols, {n: (row["pkts"], row["wire"]) for n, row in truth["proto"].items()})
    expect("the end of the daemon", told["exit"].rstrip("|"), "0")
    expect("its last word", "stopped; all counts are written" in told["log"], True)
    expect("root given up", "running as user _brightstat with CAP_NET_RAW only" in told["log"], True)
    expect("the database", "the database is sound" in told["check"], True)
    expect("the page", int(told["page"].rstrip("|")) > 300, True)
    return wrong


def main():
    binary, capture, work = (Path(argument).resolve() for argument in sys.argv[1:])
    work.mkdir(parents=True, exist_ok=True)
    kernel, tree, busybox, random = machine(work)
    archive = work / "initrd.gz"
    initrd(archive, {
        "init": (0o755, (HERE / "init").read_bytes()),
        "bin/busybox": (0o755, busybox.read_bytes()),
        "bcm2835-rng.ko": (0o644, random.read_bytes()),
        "brightstat": (0o755, binary.read_bytes()),
        "replay": (0o755, replayer(work).read_bytes()),
        "capture.pcap": (0o644, capture.read_bytes()),
        "brightstat.toml": (0o644, CONFIG.encode()),
        "etc/passwd": (0o644, USERS.encode()),
        "etc/group": (0o644, GROUPS.encode()),
    })
    print("Booting a Raspberry Pi Zero")
    wrong = check(boot(work, kernel, tree, archive), json.loads(Path(f"{capture}.truth.json").read_text()))
    if wrong:
        fail(f"{len(wrong)} things are wrong ({work}/console.log):\n" + "\n".join(wrong))
    print("  captured, counted and told to the byte")


if __name__ == "__main__":
    main()
