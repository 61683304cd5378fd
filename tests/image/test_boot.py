"""The images, booted in QEMU: a page that answers, correct counts, history that stays.

Everything is emulated, without KVM: it takes minutes where a Pi takes seconds. So measurements
are printed but not judged; timeouts only ensure that the tests end. Guests reach no network:
see image/guest.py.
"""

import argparse
import json
import re
import shutil
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "image"), str(TOP / "tests/package")]
import disk  # noqa: E402
from guest import Guest  # noqa: E402
from machine import udp_frame  # noqa: E402

OPTIONS = None
MIB = 1 << 20
# The tests' address as the guest sees it, and the guest's own.
US, GUEST = "10.0.2.2", "10.0.2.15"
COMMIT = 60


def figure(text):
    """Prints a measurement."""
    print(f"      {text}", flush=True)


def log(name):
    """The log file of a console."""
    OPTIONS.logs.mkdir(parents=True, exist_ok=True)
    path = OPTIONS.logs / f"{name}.log"
    path.unlink(missing_ok=True)
    return path


def ask_inside(guest, path):
    """Asks the page from inside: the guest has bash, but no curl, and may have no network."""
    text = guest.sh(f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/667; "
                    f"printf \"GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n\" >&3; cat <&3'")
    found = re.search(r"\{.*\}", text, re.DOTALL)
    assert found, f"no answer from inside: {text}"
    return json.loads(found.group(0).replace("\n", ""))


def host(guest, name):
    """The counts of a host: (bytes in, bytes out)."""
    hosts = guest.api(f"hosts?name={name}")["hosts"]
    return (hosts[0]["bytes_in"], hosts[0]["bytes_out"]) if hosts else (0, 0)


def stored(guest, name):
    """The same from the history on the card."""
    answer = json.loads(guest.sh(f"brightstat query host {name} --from 2d --by none --json"))
    rows = answer["rows"] if "rows" in answer else answer["hosts"]
    return sum(row["bytes_in"] for row in rows), sum(row["bytes_out"] for row in rows)


class OnVirt(unittest.TestCase):
    """One card in a 64-bit machine with 512 MB: its first start, an upgrade, a reboot as a bridge,
    a power cut. It has a second adapter, and a disk with an apt repository."""

    @classmethod
    def setUpClass(cls):
        cls.guest = Guest(OPTIONS.arm64, OPTIONS.tools, "virt", log("virt"), cable=True, options=[
            "-drive", f"if=none,id=apt,format=raw,readonly=on,file={OPTIONS.repository}", "-device", "virtio-blk-pci,drive=apt"])
        cls.guest.boot()

    @classmethod
    def tearDownClass(cls):
        cls.guest.close()

    def test_1_nothing_typed_the_page_answers_on_both_ports(self):
        guest = self.guest
        page = guest.wait_for_page()
        self.assertEqual(guest.get("/", guest.port80)[0], 200)
        guest.wait_for("multi-user.target", lambda: "multi-user.target" in guest.console(), 120)
        figure(f"virt: page after {page:.0f} s; {guest.since() - page:.0f} s later multi-user.target was there as well")
        self.assertEqual(guest.api("status")["notices"], [])

    def test_2_the_units_are_well(self):
        guest = self.guest
        guest.wait_for_shell()
        self.assertEqual(guest.sh("systemctl is-active brightstat.service brightstat.socket brightstat-import.service"),
                         "active\nactive\nactive")
        self.assertEqual(guest.sh("systemctl --failed --no-legend --plain"), "")
        self.assertIn("Status: install ok installed", guest.sh("dpkg-query --status brightstat"))
        self.assertEqual(guest.sh("dpkg --audit"), "")
        # With it on, the kernel would merge several frames before they are counted.
        self.assertEqual(guest.sh("ethtool -k eth0 | grep generic-receive-offload"), "generic-receive-offload: off")

    def test_3_what_is_asked_of_the_page_is_counted(self):
        guest = self.guest
        before_in, before_out = host(guest, US)
        received = sum(len(guest.get("/")[1].encode()) for _ in range(10))
        # Counters are published once a second.
        def counted():
            return [now - then for now, then in zip(host(guest, US), (before_in, before_out))]
        guest.wait_for("the traffic to be counted", lambda: counted()[0] >= received, 60)
        to_us, from_us = counted()
        figure(f"virt: {received} bytes of pages, counted {to_us} to here and {from_us} from here")
        # Headers come on top, and the traffic of the checks themselves.
        self.assertGreater(from_us, 10 * 54)
        self.assertLess(to_us, received * 2 + 200_000)
        self.assertEqual(host(guest, GUEST)[1] > received, True)

    def test_3b_while_it_captures_the_daemon_is_small(self):
        guest = self.guest
        rss = int(guest.sh("sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$(systemctl show -P MainPID brightstat)/status")) * 1024
        figure(f"virt: the daemon takes {rss / MIB:.1f} MiB of {guest.sh('sed -n 1p /proc/meminfo').split()[1]} kB")
        self.assertLessEqual(rss, 16 * MIB)

    def test_3c_apt_upgrades_it_from_its_own_repository(self):
        guest = self.guest
        guest.sh("mount -o ro LABEL=apt /srv")
        before = guest.sh("dpkg-query -W -f '${Version}' brightstat")
        only = "-o Dir::Etc::SourceList=/etc/apt/sources.list.d/brightstat.sources -o Dir::Etc::SourceParts=-"
        began = time.monotonic()
        said = guest.sh(f"apt-get -q {only} update && DEBIAN_FRONTEND=noninteractive apt-get -q {only} --yes upgrade", 300)
        self.assertEqual(guest.status, 0, said)
        self.assertEqual(guest.sh("dpkg-query -W -f '${Version}' brightstat"), before + "+newer", said)
        figure(f"virt: apt upgrade took {time.monotonic() - began:.0f} s")
        guest.wait_for_page()
        self.assertEqual(guest.sh("systemctl is-active brightstat.service brightstat.socket"), "active\nactive")

    def test_4_a_reboot_keeps_history(self):
        guest = self.guest
        # For the next test: the settings as a person edits them, here while the card is in the Pi.
        guest.sh("echo 'mode = \"bridge\"' >> /boot/firmware/brightstat.toml; sync")
        guest.sh("mkdir -p /etc/brightstat/conf.d; printf '[history]\\ncommit = \"1min\"\\n' > /etc/brightstat/conf.d/test.toml")
        seen = host(guest, US)
        guest.shell_socket.sendall(b"\nsystemctl reboot\n")
        # First the old page must go away.
        guest.wait_for("the old system to go down", lambda: "reboot: Restarting system" in guest.console(), 120)
        again = time.monotonic()
        guest.wait_for_page()
        figure(f"virt: page {time.monotonic() - again:.0f} s after a reboot")
        guest.wait_for_shell()
        kept = stored(guest, US)
        for was, now in zip(seen, kept):
            self.assertGreaterEqual(now, was)
        self.assertEqual(guest.sh("brightstat db check >/dev/null; echo $?"), "0")

    def test_4b_it_is_a_bridge_now_that_counts_every_frame_once(self):
        guest, cable = self.guest, self.guest.cable
        self.assertEqual(guest.api("status")["notices"], [])
        self.assertEqual(guest.sh("ls -1 /sys/class/net/br0/brif"), "eth0\neth1")
        self.assertEqual(guest.sh("cat /sys/class/net/br0/address"), guest.sh("cat /sys/class/net/eth0/address"))
        device, router, address = bytes.fromhex("020000000077"), socket.inet_aton(US), "10.0.2.77"
        # Who has the router's address? The router answers through the bridge.
        arp = b"\xff" * 6 + device + bytes.fromhex("0806" "0001080006040001") + device + socket.inet_aton(address) + bytes(6) + router
        def answer():
            cable.send(arp)
            return next((frame for frame in cable.receive(1) if frame[:6] == device and frame[28:32] == router), None)
        found = guest.wait_for("the router to answer through the bridge", answer, 60)
        udp = udp_frame(found[6:12], device, address, US, 1042)
        for _ in range(200):
            cable.send(udp)
            time.sleep(0.01)
        wanted = 200 * len(udp)
        guest.wait_for(f"{wanted} bytes to be counted", lambda: host(guest, address)[1] == wanted, 60)
        time.sleep(3)
        self.assertEqual(host(guest, address), (0, wanted))
        figure(f"virt: a bridge of two adapters, {wanted} bytes went in and were counted once")

    def test_5_a_full_card_stops_neither_page_nor_counting(self):
        guest = self.guest
        guest.sh("dd if=/dev/zero of=/var/full bs=1M 2>/dev/null; dd if=/dev/zero of=/var/full2 bs=4k 2>/dev/null; sync", 300)
        self.assertIn(" 0 ", guest.sh("df --output=avail,target / | tail -1") + " ")
        before = host(guest, US)
        guest.wait_for("counting to go on", lambda: host(guest, US) > before, 60)
        # The next commit finds the card full, and reports it.
        guest.wait_for("a word of it", lambda: re.search("full|space|cannot be written", json.dumps(guest.api("status"))
                       + guest.sh("journalctl -u brightstat --no-pager -n 20"), re.IGNORECASE), 4 * COMMIT, 5)
        guest.sh("rm /var/full /var/full2; sync")
        self.assertEqual(guest.sh("systemctl is-active brightstat"), "active")

    def test_6_a_power_cut_during_a_commit_loses_at_most_its_period(self):
        guest = self.guest
        before = stored(guest, US)[0]
        start = host(guest, US)[0]
        samples, pauses = [], []
        def written():
            # Not write_bytes of /proc/PID/io: that stays 0 where /tmp is in memory, as on Debian 13.
            return guest.card.stat().st_mtime_ns
        # Two commit periods; then the first write to the card after a pause is a commit.
        began = time.monotonic()
        last, since = written(), time.monotonic()
        while True:
            if not samples or time.monotonic() - samples[-1][0] > 1:
                samples.append((time.monotonic(), host(guest, US)[0] - start))
            now = written()
            quiet = time.monotonic() - since
            if now != last:
                last, since = now, time.monotonic()
                pauses.append(round(quiet, 1))
                if time.monotonic() - began > 2 * COMMIT and quiet > 5:
                    break
            if time.monotonic() - began > 6 * COMMIT:
                longest = sorted(pauses)[-5:]
                self.fail(f"{len(pauses)} writes to the card, none after a pause (the longest: {longest} s); the store: "
                          f"{guest.api('status')['store']}; {guest.sh('journalctl -b -n 30 --no-pager; ps -eo time,args --sort=-time | head -5')}")
            time.sleep(0.002)
        guest.cut()
        cut = time.monotonic()
        guest.boot()
        page = guest.wait_for_page()
        guest.wait_for_shell()
        figure(f"virt: page {page:.0f} s after a power cut")
        self.assertEqual(guest.sh("brightstat db check >/dev/null; echo $?"), "0")
        kept = stored(guest, US)[0] - before
        lost = [when for when, count in samples if count > kept]
        figure(f"virt: cut in a commit: the last {cut - lost[0]:.0f} s are lost" if lost else "virt: cut in a commit: nothing lost")
        # On top, the time for an emulated machine to end the minute and begin the commit.
        self.assertTrue(not lost or cut - lost[0] <= COMMIT + 15, f"{cut - lost[0] if lost else 0} s lost")


class WithMistakes(unittest.TestCase):
    """A card with a mistake in its settings, no network card, and a clock at 1970."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="brightstat-card-"))
        card = cls.folder / "card.img"
        disk.copy(OPTIONS.arm64, card)
        settings = cls.folder / "brightstat.toml"
        settings.write_text('keep = "minute:24h"\nmodus = "bridge"\n', encoding="utf8")
        disk.Image(card).fat_write([settings])
        cls.guest = Guest(card, OPTIONS.tools, "virt", log("mistakes"), network=0, options=["-rtc", "base=1970-01-01T00:00:00"])
        cls.guest.boot()
        cls.guest.wait_for_shell()
        cls.guest.wait_for("the daemon", lambda: cls.guest.sh("systemctl is-active brightstat") == "active", 200, 2)

    @classmethod
    def tearDownClass(cls):
        cls.guest.close()
        shutil.rmtree(cls.folder)

    def test_1_the_page_names_line_and_key_of_the_mistake(self):
        notices = json.dumps(ask_inside(self.guest, "/api/v1/status")["notices"])
        self.assertIn("modus", notices)
        self.assertIn("2", notices)

    def test_2_the_journal_and_the_console_name_it(self):
        self.assertIn("modus", self.guest.sh("journalctl -b --no-pager -u brightstat-import"))
        self.assertIn("brightstat-import.service", self.guest.sh("systemctl --failed --no-legend --plain"))
        self.guest.wait_for("the login prompt", lambda: "login:" in self.guest.console(), 200)
        self.assertIn("modus", self.guest.console())

    def test_3_without_a_network_card_the_daemon_runs_and_waits(self):
        self.assertEqual(self.guest.sh("ls /sys/class/net"), "lo")
        interfaces = ask_inside(self.guest, "/api/v1/status")["interfaces"]
        self.assertEqual([one for one in interfaces if one["is_capturing"]], [])

    def test_4_the_daemon_does_not_live_in_1970(self):
        # Systemd sets the clock at least to its build time. Without any clock: see OnRaspi3.
        figure(f"with a clock at 1970 the guest believes it is {self.guest.sh('date -u +%F')}")
        self.assertNotRegex(json.dumps(ask_inside(self.guest, "/api/v1/status")["time"]), '^("19|[0-9]{1,9}([^0-9]|$))')


class ReadOnly(unittest.TestCase):
    """A card whose root is read-only, as that of a worn one.

    The daemon does not run without its database, but the page tells visitors why.
    """

    def test_the_page_and_the_console_say_what_is_wrong(self):
        with Guest(OPTIONS.arm64, OPTIONS.tools, "virt", log("read-only"),
                   append="systemd.mask=systemd-remount-fs.service") as guest:
            def refusal():
                status, text = guest.get("/", timeout=5)
                return status == 503 and text
            text = guest.wait_for("the page to say why it is not there", refusal, 240)
            figure(f"read-only root: 503 {' '.join(text.split())[:160]}")
            self.assertIn("/var/lib/brightstat/brightstat.db", text)
            guest.wait_for("the console", lambda: "Read-only file system" in guest.console(), 120)
            guest.wait_for("the login prompt", lambda: "brightstat login:" in guest.console(), 120)


class OnRaspi3(unittest.TestCase):
    """The same image in an emulated Pi 3: SD card, network on USB, no clock."""

    def test_the_page_answers_and_history_waits_for_the_time(self):
        with Guest(OPTIONS.arm64, OPTIONS.tools, "raspi3b", log("raspi3b")) as guest:
            page = guest.wait_for_page(400)
            figure(f"raspi3b: page after {page:.0f} s")
            before = host(guest, US)
            guest.wait_for("the traffic to be counted", lambda: host(guest, US) > before, 60)
            # It has no clock, and no NTP server answers: history waits until the time is known.
            self.assertIn("waiting", guest.api("status")["clock"]["state"])
            guest.wait_for("a minute to be held", lambda: guest.api("status")["clock"]["held_intervals"] > 0, 120, 2)
            self.assertEqual(guest.api("status")["store"]["intervals_written"], 0)


class OnRaspi0(unittest.TestCase):
    """The 32-bit image in an emulated Pi Zero: ARMv6."""

    def test_the_page_answers(self):
        with Guest(OPTIONS.armhf, OPTIONS.tools, "raspi0", log("raspi0")) as guest:
            page = guest.wait_for_page(600)
            figure(f"raspi0: page after {page:.0f} s")
            before = host(guest, US)
            guest.wait_for("the traffic to be counted", lambda: host(guest, US) > before, 60)


def main():
    """Runs all tests, or the named ones."""
    global OPTIONS  # pylint: disable=global-statement
    parser = argparse.ArgumentParser()
    for name in ("arm64", "armhf", "repository", "tools", "logs"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("tests", nargs="*")
    OPTIONS = parser.parse_args()
    # After a failure the card's state is wrong: later tests would only wait and say nothing.
    unittest.main(argv=[sys.argv[0], *OPTIONS.tests], verbosity=2, failfast=True)


main()
