"""Boots a baked image in QEMU without KVM, for `boot-test` and tests/image.

The image itself is not touched: the guest writes into an overlay. It boots the image's own
kernel, initramfs and command line, read from its FAT partition. systemd.debug_shell on the
command line gives a root shell on a second serial port, so tests can look inside without putting
anything into the image. The guest reaches nobody: QEMU's user network is closed except for the
ports that are forwarded to it from 127.0.0.1.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import disk

# What differs between the machines.
#   dtb     the device tree on bootfs, if the machine needs one
#   serial  what QEMU's first and second serial port carry
#   more    what is added to the image's command line
#   accel   how QEMU runs the machine's processors
MACHINES = {
    "virt": {
        "qemu": "qemu-system-aarch64", "arch": "arm64", "dtb": None,
        "options": ["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "512"],
        "disk": ["-device", "virtio-blk-pci,drive=card"], "nic": "virtio-net-pci,romfile=",
        "console": "ttyAMA0", "shell": "ttyAMA1", "serial": ("console", "shell"), "more": "",
        "accel": ["-accel", "tcg,thread=multi"],
    },
    "raspi3b": {
        "qemu": "qemu-system-aarch64", "arch": "arm64", "dtb": "bcm2837-rpi-3-b.dtb",
        "options": ["-M", "raspi3b"],
        "disk": ["-device", "sd-card,drive=card"], "nic": "usb-net",
        "console": "ttyS1,115200", "shell": "ttyAMA0", "serial": ("shell", "console"),
        # Without it, the emulated USB controller is polled too often.
        "more": "dwc_otg.fiq_fsm_enable=0",
        "accel": ["-accel", "tcg,thread=multi"],
    },
    "raspi0": {
        "qemu": "qemu-system-arm", "arch": "armhf", "dtb": "bcm2835-rpi-b-plus.dtb",
        "options": ["-M", "raspi0"],
        "disk": ["-device", "sd-card,drive=card"], "nic": "usb-net",
        "console": "ttyAMA0,115200", "shell": "ttyS1", "serial": ("console", "shell"),
        # QEMU has no power controller, and the driver would wait for it forever.
        "more": "initcall_blacklist=bcm2835_power_driver_init",
        # The kernel sets the system timer to a time some microseconds ahead. If this machine gives
        # QEMU no time in between, the timer is set to the past and rings after 71 minutes: the guest
        # sleeps. So count time in instructions, of 4 ns each, and not by this machine's clock.
        "accel": ["-accel", "tcg,thread=single", "-icount", "shift=2"],
    },
}


class Timeout(AssertionError):
    """Something did not come in time."""


def qemu(name, tools):
    """How to call a program of QEMU's: the tools root's own (newer, faster) or the machine's."""
    program = Path(tools) / "usr/bin" / name
    if program.exists():
        # Run it with its own libraries; a chroot would need root.
        return [str(Path(tools) / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path",
                f"{tools}/usr/lib/x86_64-linux-gnu", str(program)]
    if shutil.which(name):
        return [name]
    return disk.fail(f"{name} is missing: apt install qemu-system-arm qemu-utils", disk.UNAVAILABLE)


class Cable:
    """The cable of a second adapter: this end sends and receives whole Ethernet frames."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.here = self.socket.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            self.there = other.getsockname()[1]

    def send(self, frame):
        """Sends a frame."""
        self.socket.sendto(frame, ("127.0.0.1", self.there))

    def receive(self, seconds):
        """The frames that come within this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                yield self.socket.recv(65536)
            except TimeoutError:
                return


class Guest:
    """One card, and the machine it is in; `with Guest(image) as guest:` boots it."""

    def __init__(self, image, tools, machine="virt", log=None, network=1, options=(), append="", cable=False):
        self.image, self.tools, self.machine = Path(image).resolve(), Path(tools).resolve(), MACHINES[machine]
        self.network, self.options, self.append = network, list(options), append
        self.folder = Path(tempfile.mkdtemp(prefix="brightstat-guest-"))
        self.card = self.folder / "card.qcow2"
        self.log = Path(log) if log else self.folder / "console.log"
        self.process, self.shell_socket, self.started = None, None, 0.0
        self.cable = Cable() if cable else None
        self.seen, self.number = b"", 0
        one = disk.Image(self.image)
        self.files = {}
        for name in ("vmlinuz", "initrd.img", "cmdline.txt", self.machine["dtb"]):
            if name:
                content = one.fat_read(f"/{name}")
                if content is None:
                    disk.fail(f"{image}: bootfs has no {name}: only a base of Debian's boots in QEMU")
                self.files[name] = self.folder / name
                self.files[name].write_bytes(content)
        # The size of an emulated Pi's SD card must be a power of two.
        size = 1 << (self.image.stat().st_size - 1).bit_length()
        self.run_qemu_img("create", "-q", "-f", "qcow2", "-b", self.image, "-F", "raw", self.card, str(size))

    def run_qemu_img(self, *words):
        """Runs qemu-img."""
        disk.run(*qemu("qemu-img", self.tools), *words)

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def boot(self):
        """Switches on."""
        machine = self.machine
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        self.port = free.getsockname()[1]
        free2 = socket.socket()
        free2.bind(("127.0.0.1", 0))
        self.port80 = free2.getsockname()[1]
        free.close()
        free2.close()
        shell = self.folder / "shell"
        shell.unlink(missing_ok=True)
        cmdline = self.files["cmdline.txt"].read_text(encoding="utf8").strip()
        # The Pi's firmware knows which port serial0 is; QEMU has to be told.
        cmdline = re.sub(r"console=(serial0|ttyS\d+|ttyAMA\d+)\S*", "", cmdline)
        cmdline += (f" console={machine['console']} systemd.debug_shell={machine['shell']} {machine['more']}"
                    f" systemd.show_status=1 {self.append}")
        serial = {"console": ["-chardev", f"file,id=console,path={self.log},append=on", "-serial", "chardev:console"],
                  "shell": ["-chardev", f"socket,id=shell,path={shell},server=on,wait=off", "-serial", "chardev:shell"]}
        command = [*qemu(machine["qemu"], self.tools), "-L", f"{self.tools}/usr/share/qemu", *machine["options"],
                   *machine["accel"], "-display", "none", "-monitor", "none", "-nodefaults",
                   "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off",
                   "-kernel", self.files["vmlinuz"], "-initrd", self.files["initrd.img"], "-append", cmdline,
                   "-drive", f"if=none,id=card,format=qcow2,file={self.card},cache=writethrough", *machine["disk"],
                   *serial[machine["serial"][0]], *serial[machine["serial"][1]], *self.options]
        if machine["dtb"]:
            command += ["-dtb", self.files[machine["dtb"]]]
        for number in range(self.network):
            forward = f",hostfwd=tcp:127.0.0.1:{self.port}-:667,hostfwd=tcp:127.0.0.1:{self.port80}-:80" if number == 0 else ""
            command += ["-netdev", f"user,id=net{number},restrict=on,net=10.0.{2 + number}.0/24{forward}",
                        "-device", f"{machine['nic']},netdev=net{number},mac=52:54:00:12:34:{0x56 + number:02x}"]
        if self.cable:
            # Its address is lower than the built-in one's: a bridge would choose it by itself.
            command += ["-netdev", f"socket,id=cable,udp=127.0.0.1:{self.cable.here},localaddr=127.0.0.1:{self.cable.there}",
                        "-device", f"{machine['nic']},netdev=cable,mac=52:54:00:12:34:10"]
        self.errors = open(self.folder / "qemu.log", "ab")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,  # pylint: disable=consider-using-with
                                        stdout=self.errors, stderr=self.errors, start_new_session=True)
        self.started = time.monotonic()
        self.wait_for("QEMU to start", shell.exists, 20)
        self.shell_socket = socket.socket(socket.AF_UNIX)
        self.shell_socket.connect(str(shell))
        self.seen = b""

    def since(self):
        """Seconds since the machine was switched on."""
        return time.monotonic() - self.started

    def console(self):
        """What the console has shown so far."""
        try:
            return self.log.read_text(encoding="utf8", errors="replace")
        except FileNotFoundError:
            return ""

    def wait_for(self, what, ready, seconds, pause=0.2):
        """Waits until ready() gives something true, and returns it."""
        deadline = time.monotonic() + seconds
        problem = "not yet"
        while True:
            if self.process.poll() is not None:
                raise Timeout(f"the machine went off while waiting for {what}: "
                              + (self.folder / "qemu.log").read_text(errors="replace")[-2000:])
            try:
                found = ready()
                if found:
                    return found
            except (OSError, ValueError, AssertionError) as error:
                problem = error
            if "Kernel panic" in self.console():
                raise Timeout(f"no {what}: the kernel has given up\n" + "\n".join(self.console().splitlines()[-25:]))
            if time.monotonic() > deadline:
                raise Timeout(f"waited {seconds} s for {what}: {problem}\n" + "\n".join(self.console().splitlines()[-25:]))
            time.sleep(pause)

    def get(self, path, port=None, timeout=20):
        """Asks the page through the forwarded port; returns status and text."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def api(self, path):
        """The answer of the API as an object."""
        status, text = self.get("/api/v1/" + path)
        assert status == 200, f"{path}: {status} {text}"
        return json.loads(text)

    def wait_for_page(self, seconds=240):
        """Waits until the page answers; returns how long after switching on that was."""
        self.wait_for("the page", lambda: self.get("/api/v1/status", timeout=5)[0] == 200, seconds)
        return self.since()

    def sh(self, script, seconds=90):
        """Runs a script in the guest's root shell; returns what it printed."""
        self.number += 1
        mark = f"brightstat-{self.number}"
        # The echo of the command itself must not look like the end.
        self.shell_socket.sendall(f"\n{{ {script}\n}} 2>&1; echo \"{mark}\"-\"end:$?:\"\n".encode())
        end = re.compile(rf"{mark}-end:(\d+):".encode())
        self.shell_socket.settimeout(1)
        deadline = time.monotonic() + seconds
        while not (found := end.search(self.seen)):
            if time.monotonic() > deadline:
                raise Timeout(f"waited {seconds} s for: {script}\n{self.seen.decode(errors='replace')[-1500:]}")
            if self.process.poll() is not None:
                raise Timeout(f"the machine went off during: {script}")
            try:
                self.seen += self.shell_socket.recv(65536)
            except TimeoutError:
                continue
        text, self.seen = self.seen[:found.start()], self.seen[found.end():]
        lines = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)", b"", text).decode(errors="replace").replace("\r", "").splitlines()
        # The answer begins after the last line that echoes the command.
        last = max((number for number, line in enumerate(lines) if f'"{mark}"' in line), default=-1)
        self.status = int(found.group(1))
        return "\n".join(lines[last + 1:])

    def wait_for_shell(self, seconds=240):
        """Waits until the root shell answers."""
        def answers():
            try:
                return "hello" in self.sh("echo hello", 5)
            except Timeout:
                return False
        self.wait_for("the shell", answers, seconds)

    def qmp(self, command, **arguments):
        """Sends one command to QEMU itself; returns its answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self.folder / "qmp"))
            file = line.makefile("rw")
            file.readline()
            for order in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                file.write(json.dumps(order) + "\n")
                file.flush()
                while "event" in (answer := json.loads(file.readline())):
                    pass
                assert "return" in answer, answer
            return answer["return"]

    def memory(self):
        """Resident memory of the emulator, in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf8")
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024

    def cut(self):
        """Cuts the power."""
        self.process.kill()
        self.off()

    def stop(self, seconds=120):
        """Shuts down cleanly."""
        self.shell_socket.sendall(b"\nsystemctl poweroff\n")
        self.process.wait(seconds)
        self.off()

    def off(self):
        """Cleans up after a machine that is off."""
        self.process.wait(30)
        self.process = None
        self.errors.close()
        if self.shell_socket is not None:
            self.shell_socket.close()

    def close(self):
        """Ends the machine and deletes its files."""
        if self.process is not None:
            self.cut()
        if self.cable:
            self.cable.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)
