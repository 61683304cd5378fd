"""The contents of the appliance's image on a booted Debian: settings on the card, port, bridge.

    test_appliance.py --deb FILE --root TAR --logs FOLDER [TEST...]

The machine gets everything that image/ adds to a base: the package, image/files, image/bootfs and
the units of image/enable. It has two Ethernet ports: eth0 leads to a router (10.99.0.1, with
DHCP), eth1 to a client's device (10.99.0.50). Continuous integration reads the closing line.
"""

import argparse
import os
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "../..")
sys.path.insert(0, os.path.join(HERE, "../package"))
# pylint: disable=wrong-import-position
import runner  # noqa: E402
from machine import OURS, THEIRS, Inside, Machine, run, wait_for  # noqa: E402

OPTIONS = argparse.Namespace()
DEVICE, PINGER = "10.99.0.50", "10.99.0.51"
# The built-in port's, and the adapter's: the lower one, which a bridge would choose by default.
MACS = {"eth0": "02:00:00:00:00:20", "eth1": "02:00:00:00:00:10"}
CARD = "/boot/firmware/brightstat.toml"


class Appliance(Machine):
    """A machine with the image's contents. Cables are new at each boot, as hardware is."""

    def __init__(self, tar, log, manager):
        super().__init__(tar, log)
        self.inside = self.name + "i"
        self.has_adapter = True
        self.dhcp = None
        for service in ("NetworkManager", "systemd-networkd"):
            run("systemctl", "--quiet", f"--root={self.root}", "enable" if service == manager else "disable",
                service + ".service")
        # As in the bases: one of them configures wired networks itself.
        self.write("/etc/systemd/network/80-wired.network", "[Match]\nName=eth* en*\n\n[Network]\nDHCP=yes\n")
        run("dpkg", f"--root={self.root}", "--force-script-chrootless", "--install", OPTIONS.deb)
        run("cp", "-R", os.path.join(TOP, "image/files/."), self.root)
        os.makedirs(self.root + "/boot/firmware")
        run("cp", "-R", os.path.join(TOP, "image/bootfs/."), self.root + "/boot/firmware")
        with open(os.path.join(TOP, "image/enable"), encoding="utf8") as file:
            run("systemctl", "--quiet", f"--root={self.root}", "enable", *file.read().split())

    def __enter__(self):
        try:
            for name in (self.name, self.outside, self.inside):
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
                run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                    "net.ipv6.conf.default.disable_ipv6=1")
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def boot(self, options=""):
        self.unplug()
        self.plug("eth0", self.outside, "out0", THEIRS)
        if self.has_adapter:
            self.plug("eth1", self.inside, "in0", DEVICE)
        self.dhcp = subprocess.Popen(  # pylint: disable=consider-using-with
            ["ip", "netns", "exec", self.outside, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
             "--port=0", "--interface=out0", "--dhcp-range=10.99.0.100,10.99.0.150,1h",
             f"--dhcp-host={MACS['eth0']},{OURS}", f"--dhcp-leasefile={self.folder}/leases",
             f"--dhcp-option=option:router,{THEIRS}", "--pid-file=", "--user=root"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        # A network manager needs it; nspawn drops it if the network comes from outside.
        super().boot(f"--capability=CAP_NET_ADMIN {options}")

    def plug(self, name, namespace, end, address):
        """Plugs an adapter with its cable into the machine."""
        run("ip", "-n", self.name, "link", "add", name, "address", MACS[name], "type", "veth", "peer", "name", end,
            "netns", namespace)
        run("ip", "-n", namespace, "addr", "add", address + "/24", "dev", end)
        run("ip", "-n", namespace, "link", "set", end, "up")

    def unplug(self, names=("eth0", "eth1", "br0")):
        """Removes adapters, or what is left of the last boot."""
        if self.dhcp is not None and "eth0" in names:
            self.dhcp.terminate()
            self.dhcp.wait(10)
            self.dhcp = None
        for name in names:
            run("ip", "-n", self.name, "link", "del", name, check=False)

    def close(self):
        self.unplug()
        super().close()
        run("ip", "netns", "del", self.inside, check=False)

    def card(self, text):
        """Edits the settings on the card, as on another computer."""
        with open(self.root + CARD, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def page(self, port, side=None, host=OURS):
        """The status of the page at a port, requested by this host name; None if nobody answers."""
        request = urllib.request.Request(f"http://{OURS}:{port}/api/v1/status", headers={"Host": host})
        with Inside(side or self.outside):
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code
            except OSError:
                return None

    def console(self):
        """The text on the screen above the login."""
        return self.run("script", "--quiet", "--command", "agetty --show-issue", "/dev/null").stdout

    def ends(self):
        """The ports of the bridge; None if there is no bridge."""
        folder = f"ip -n {self.name} -o link show master br0"
        done = run(*folder.split(), check=False)
        return None if done.returncode else sorted(line.split()[1].split("@")[0] for line in done.stdout.splitlines())

    def forwards(self):
        """Whether the device reaches the router through the Pi."""
        return run("ip", "netns", "exec", self.inside, "ping", "-c1", "-W1", THEIRS, check=False).returncode == 0

    def address(self):
        """The Pi's IPv4 addresses, by interface."""
        lines = run("ip", "-n", self.name, "-4", "-o", "addr", "show", "scope", "global").stdout.splitlines()
        return {line.split()[1]: line.split()[3] for line in lines}


class Listening(threading.Thread):
    """Counts frames of one sender at the end of a cable."""

    def __init__(self, namespace, interface, source):
        super().__init__()
        self.frames, self.source = 0, socket.inet_aton(source)
        with Inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
            self.socket.bind((interface, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.start()

    def run(self):
        self.socket.settimeout(1.5)
        try:
            while True:
                frame, (_, _, kind, _, _) = self.socket.recvfrom(2048)
                # Only frames that come in from the cable.
                if kind != socket.PACKET_OUTGOING and frame[26:30] == self.source:
                    self.frames += 1
        except TimeoutError:
            self.socket.close()


class OnAppliance(unittest.TestCase):
    """Tests of one class share a machine and run in the order of their names."""

    manager = "systemd-networkd"

    @classmethod
    def setUpClass(cls):
        log = os.path.join(OPTIONS.logs, f"{cls.__name__}.console")
        cls.machine = Appliance(OPTIONS.root, log, cls.manager)
        cls.prepare()
        cls.machine.__enter__()
        cls.addClassCleanup(cls.machine.close)

    @classmethod
    def prepare(cls):
        """Prepares the card before the first boot."""

    def journal(self, *more):
        """The import's output at this boot."""
        return self.machine.run("journalctl", "-b", "-u", "brightstat-import", "-o", "cat", *more).stdout

    def assert_fine(self):
        """The page answers, without notices or failed units."""
        self.machine.wait_for_page()
        self.assertEqual(self.machine.api("status")["notices"], [])
        self.assertEqual(self.machine.run("systemctl", "--failed", "--no-legend").stdout, "")

    def wait_for_watching(self, name):
        """Waits until only this interface is watched. None is configured: it is the one with the
        default route, once DHCP has answered."""
        wait_for(f"{name} to be watched", lambda: [(i["name"], i["is_capturing"]) for i in self.machine.api(
            "status")["interfaces"]] == [(name, True)], 30)

    def assert_counts(self, namespace, interface, other, count=500, size=200):
        """Frames sent from one side are counted once and arrive at the other side."""
        before = self.machine.counted()
        listening = Listening(*other, "10.99.0.7") if other else None
        self.machine.send(count, size=size, namespace=namespace, interface=interface, pause=0.0005)
        expected = (before[0] + count, before[1] + count * size)
        self.machine.wait_for_count(expected)
        if listening:
            listening.join()
            self.assertEqual(listening.frames, count)
        # A second count of the same frames would have arrived by now.
        time.sleep(2)
        self.assertEqual(self.machine.counted(), expected)

    def assert_bridges(self):
        """Both sides reach each other and the Pi, and every frame is counted once."""
        machine = self.machine
        wait_for("the bridge", lambda: machine.ends() == ["eth0", "eth1"])
        wait_for("frames to pass", machine.forwards)
        machine.wait_for_page()
        self.assertEqual(machine.address(), {"br0": OURS + "/24"})
        mac = run("ip", "-n", machine.name, "-o", "link", "show", "br0").stdout
        self.assertIn(MACS["eth0"], mac)
        self.wait_for_watching("br0")
        self.assert_fine()
        self.assert_counts(machine.inside, "in0", (machine.outside, "out0"))
        self.assert_counts(machine.outside, "out0", (machine.inside, "in0"))
        # The Pi's own frames, to the side that capturing a single port could miss.
        self.assertEqual(machine.page(80, side=machine.inside), 200)
        before = machine.counted(PINGER)
        run("ip", "-n", machine.inside, "addr", "replace", PINGER + "/24", "dev", "in0")
        run("ip", "netns", "exec", machine.inside, "ping", "-I", PINGER, "-c10", "-i0.2", "-q", OURS)
        expected = (before[0] + 10, before[1] + 10 * 98)
        machine.wait_for_count(expected, PINGER, 10)


class Settings(OnAppliance):
    """Settings on the card."""

    @classmethod
    def prepare(cls):
        with open(cls.machine.root + CARD, encoding="utf8") as file:
            cls.shipped = file.read()

    def test_1_untouched_it_runs_on_defaults_at_port_80(self):
        machine = self.machine
        self.assert_fine()
        self.assertEqual([machine.page(port) for port in (667, 80)], [200, 200])
        self.assertEqual([machine.page(80, host=host) for host in ("brightstat.local", "evil.example.com")],
                         [200, 421])
        self.assertEqual(machine.address(), {"eth0": OURS + "/24"})
        self.assertIn(f"http://brightstat.local/  or  http://{OURS}/", machine.console())
        self.assertEqual(machine.run("hostname").stdout, "brightstat\n")
        self.assertIn("imported", self.journal())
        self.wait_for_watching("eth0")
        self.assert_counts(machine.outside, "out0", None)
        # There is no udev in here to apply them.
        machine.run("udevadm", "verify", "/usr/lib/udev/rules.d/90-brightstat-offload.rules")
        # The sandbox of the unit that runs as root.
        said = machine.run("systemd-analyze", "security", "brightstat-import.service").stdout
        print("    " + said.strip().splitlines()[-1].strip())

    def test_2_the_name_is_found_in_the_network(self):
        question = b"\0\0\0\0\0\1\0\0\0\0\0\0\x0abrightstat\x05local\0\0\1\x80\1"
        with Inside(self.machine.outside):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
                ask.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(THEIRS))
                ask.bind((THEIRS, 0))
                ask.settimeout(1)

                def answer():
                    ask.sendto(question, ("224.0.0.251", 5353))
                    return socket.inet_aton(OURS) in ask.recv(2048)
                wait_for("an answer to brightstat.local", answer, 20)
        established = 'Service "brightstat on brightstat" (/services/brightstat.service) successfully established'
        wait_for("the page to be announced", lambda: established in self.machine.sh(
            "journalctl -b -u avahi-daemon -o cat"), 20)

    def test_3_settings_from_a_windows_editor_hold_after_the_next_start(self):
        machine = self.machine
        text = self.shipped.replace("#port = 80", "port = 8080").replace(
            "#interfaces = [\"eth0\"]", "interfaces = [\"eth0\", \"eth1\"]")
        machine.card(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        machine.reboot()
        self.assert_fine()
        self.assertEqual([machine.page(port) for port in (667, 8080, 80)], [200, 200, None])
        names = [interface["name"] for interface in machine.api("status")["interfaces"]]
        self.assertEqual(names, ["eth0", "eth1"])
        self.assertIn(f"http://{OURS}:8080/", machine.console())
        # Later changes on the Pi stay, until the file on the card changes.
        machine.sh("sed -i 's/, \"eth1\"//' /etc/brightstat/conf.d/bootfs.toml")
        machine.reboot()
        self.assert_fine()
        self.assertIn("nothing has changed", self.journal())
        self.assertEqual([i["name"] for i in machine.api("status")["interfaces"]], ["eth0"])

    def test_4_a_mistake_is_told_everywhere_and_what_was_good_stays(self):
        machine = self.machine
        machine.card("# mine\r\nmode = \"brdige\"\r\nport = 80\r\n")
        machine.reboot()
        machine.wait_for_page()
        wrong = f"{CARD}:2: mode: expected \"mirror\", \"bridge\" or \"gateway\", found \"brdige\""
        notice, = machine.api("status")["notices"]
        self.assertIn(wrong, notice)
        self.assertIn("the settings from before hold", notice)
        self.assertIn(wrong, machine.console())
        self.assertIn(wrong, self.journal("-p", "err"))
        self.assertEqual(machine.show("brightstat-import.service", "ExecMainStatus"), "78")
        self.assertEqual([machine.page(port) for port in (667, 8080, 80)], [200, 200, None])
        machine.card("port = 80\n")
        machine.reboot()
        self.assert_fine()
        self.assertEqual([machine.page(port) for port in (667, 8080, 80)], [200, None, 200])
        self.assertNotIn("mistake", machine.console())

    def test_5_a_card_that_cannot_be_written_to_is_told(self):
        machine = self.machine
        machine.card("port = 8081\n")
        machine.sh("mkdir -p /etc/systemd/system/brightstat-import.service.d; printf '[Service]\\n"
                   "ReadOnlyPaths=/etc\\n' > /etc/systemd/system/brightstat-import.service.d/test.conf")
        machine.reboot()
        machine.wait_for_page()
        notice, = machine.api("status")["notices"]
        self.assertIn("cannot write it: Read-only file system", notice)
        self.assertEqual(machine.page(80), 200)


class BrokenFromTheStart(OnAppliance):
    """A mistake before the first boot."""

    @classmethod
    def prepare(cls):
        cls.machine.card("interfaces = [\"eth1\"]\nkeep = \"hour:1h\"\n")

    def test_the_monitor_runs_on_defaults(self):
        machine = self.machine
        machine.wait_for_page()
        notice, = machine.api("status")["notices"]
        self.assertIn(f"{CARD}:2: keep: \"hour\" must be kept for 172800 s at least", notice)
        self.assertIn("the defaults hold", notice)
        self.assertIn(f"{CARD}:2: keep:", machine.console())
        self.assertIn(f"{CARD}:2: keep:", self.journal("-p", "err"))
        self.wait_for_watching("eth0")
        self.assertEqual(machine.page(80), 200)
        self.assert_counts(machine.outside, "out0", None)


class Bridge(OnAppliance):
    """Between router and switch."""

    @classmethod
    def prepare(cls):
        cls.machine.card("mode = \"bridge\"\r\n")

    def test_1_counts_what_goes_through_once_and_passes_it_on(self):
        self.assert_bridges()

    def test_2_a_reboot_keeps_it(self):
        self.machine.reboot()
        self.assert_bridges()

    def test_3_without_the_adapter_the_pi_stays_in_the_network_and_says_what_it_misses(self):
        machine = self.machine
        machine.has_adapter = False
        machine.reboot()
        machine.wait_for_page()
        self.assertEqual(machine.address(), {"br0": OURS + "/24"})
        notice, = machine.api("status")["notices"]
        self.assertIn("The bridge br0 has one end, eth0,", notice)
        self.assert_counts(machine.outside, "out0", None)

    def test_4_the_adapter_may_come_back_while_the_pi_runs(self):
        machine = self.machine
        machine.has_adapter = True
        machine.plug("eth1", machine.inside, "in0", DEVICE)
        self.assert_bridges()
        machine.unplug(["eth1"])
        wait_for("the notice", lambda: len(machine.api("status")["notices"]) == 1)
        self.assertEqual(machine.address(), {"br0": OURS + "/24"})

    def test_5_both_cables_in_one_switch_make_no_loop(self):
        machine = self.machine
        machine.plug("eth1", machine.outside, "in0", DEVICE)
        # A switch without spanning tree, like most that are sold.
        for command in ("link add sw type bridge", "addr flush dev out0", "addr flush dev in0",
                        f"addr add {THEIRS}/24 dev sw", "link set out0 master sw", "link set in0 master sw",
                        "link set sw up"):
            run("ip", "-n", machine.outside, *command.split())
        forwarding, blocking = "3", "4"  # BR_STATE_* of the kernel
        states = "cat /sys/class/net/eth0/brport/state /sys/class/net/eth1/brport/state"
        wait_for("one end to be blocked", lambda: sorted(machine.sh(states).split()) == [forwarding, blocking])
        machine.wait_for_page()
        before = machine.counted("10.99.0.8")
        machine.send(10, source="10.99.0.8", interface="sw")
        expected = (before[0] + 10, before[1] + 10 * 200)
        machine.wait_for_count(expected, "10.99.0.8", 10)
        time.sleep(2)
        self.assertEqual(machine.counted("10.99.0.8"), expected)
        machine.unplug(["eth1"])
        run("ip", "-n", machine.outside, "link", "del", "sw")

    def test_6_back_to_one_cable(self):
        machine = self.machine
        machine.card("#mode = \"bridge\"\n")
        machine.reboot()
        self.assert_fine()
        self.assertEqual(machine.address(), {"eth0": OURS + "/24"} | {
            plug: address for plug, address in machine.address().items() if plug == "eth1"})
        self.assertIsNone(machine.ends())


class BridgeOfNetworkManager(Bridge):
    """The same with Raspberry Pi OS's network manager."""

    manager = "NetworkManager"

    def test_0_its_files_are_good(self):
        said = self.machine.run("nmcli", "-t", "-f", "NAME,TYPE,FILENAME", "connection", "show").stdout
        print("    " + said.strip().replace("\n", "\n    "))
        for name, kind in (("brightstat-bridge", "bridge"), ("brightstat-plug", "802-3-ethernet")):
            self.assertIn(f"{name}:{kind}:/etc/NetworkManager/system-connections/05-brightstat-", said)


if __name__ == "__main__":
    runner.main(sys.modules[__name__], OPTIONS, "--root")
