"""The package on a booted Debian: from apt install to purge, as its owner experiences it.

    test_package.py --deb FILE --roots FOLDER --logs FOLDER [TEST...]

roots.sh makes the roots. Continuous integration reads the closing line.
"""

import argparse
import contextlib
import functools
import glob
import http.server
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import unittest

import runner
from machine import OURS, THEIRS, Asking, Inside, Machine, run, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
OPTIONS = argparse.Namespace()
UNITS = "/usr/lib/systemd/system"


def older_package(deb, folder, version):
    """The same package with an older version number."""
    tree = os.path.join(folder, "older")
    run("dpkg-deb", "--raw-extract", deb, tree)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control, encoding="utf8") as file:
        text = re.sub(r"(?m)^Version: .*$", f"Version: {version}", file.read())
    with open(control, "w", encoding="utf8") as file:
        file.write(text)
    older = os.path.join(folder, f"brightstat_{version}_amd64.deb")
    run("dpkg-deb", "--root-owner-group", "--build", tree, older)
    shutil.rmtree(tree)
    return older


def undo_schema_4(database):
    """Turns the database into one of schema 3: a sentence was all that an event had."""
    version, = database.execute("PRAGMA user_version").fetchone()
    assert version == 4, f"schema {version}: teach this test what is new in it"
    database.executescript("""
        DROP VIEW v_event;
        ALTER TABLE event DROP COLUMN evidence;
        ALTER TABLE event DROP COLUMN peer;
        ALTER TABLE event DROP COLUMN subject;
        CREATE VIEW v_event AS
            SELECT time, datetime(time, 'unixepoch') AS time_utc, severity, kind, message
            FROM event;
        PRAGMA user_version = 3;
        PRAGMA wal_checkpoint(TRUNCATE);""")


def undo_schemas_3_and_2(database):
    """Turns a database of schema 3 into one of schema 1."""
    for seconds, in database.execute("SELECT seconds FROM tier").fetchall():
        # Rows of hosts and services.
        database.execute(f"DELETE FROM traffic_{seconds} WHERE kind = 5")
    database.executescript("""
        DROP VIEW v_service;
        DROP TABLE host;
        DROP VIEW v_event;
        ALTER TABLE event DROP COLUMN severity;
        CREATE VIEW v_event AS
            SELECT time, datetime(time, 'unixepoch') AS time_utc, kind, message FROM event;
        PRAGMA user_version = 1;
        PRAGMA wal_checkpoint(TRUNCATE);""")


class OnMachine(unittest.TestCase):
    """Tests of one class share a machine and run in the order of their names."""

    root = "trixie"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="brightstat-package-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        log = os.path.join(OPTIONS.logs, f"{cls.__name__}.console")
        cls.machine = Machine(os.path.join(OPTIONS.roots, cls.root + ".tar"), log)
        cls.machine.__enter__()
        cls.addClassCleanup(cls.machine.close)
        cls.prepare()

    @classmethod
    def prepare(cls):
        """Prepares what the tests of a class rely on."""

    def assert_works(self):
        """The service runs, the page answers, and no other unit has failed."""
        self.machine.wait_for_page()
        self.assertEqual(self.machine.show("brightstat.service", "ActiveState"), "active")
        state = self.machine.run("systemctl", "is-system-running", check=False).stdout.strip()
        failed = self.machine.run("systemctl", "--failed", "--no-legend", check=False).stdout
        self.assertEqual((state, failed), ("running", ""))

    def stored(self):
        """Packets and bytes of the sender in the history on the disk."""
        said = self.machine.run("brightstat", "query", "host", "10.99.0.7", "--from", "1h", "--by", "none",
                                "--json").stdout
        row = json.loads(said)["rows"][0]
        return row["packets_out"], row["bytes_out"]

    def assert_counts(self, count=500, size=200):
        """Everything sent is counted, to the byte."""
        packets, octets = self.machine.counted()
        self.machine.send(count, size=size)
        self.machine.wait_for_count((packets + count, octets + count * size))


class Installed(OnMachine):
    """Installed on a clean system, and used."""

    @classmethod
    def prepare(cls):
        cls.said = cls.machine.install(OPTIONS.deb)

    def test_01_runs_right_after_the_installation(self):
        self.assert_works()
        for unit in ("brightstat.service", "brightstat.socket"):
            self.assertEqual(self.machine.run("systemctl", "is-enabled", unit).stdout.strip(), "enabled")
        status, page = self.machine.get("/")
        self.assertEqual(status, 200)
        self.assertIn("<title>brightstat</title>", page)

    def test_02_captures_exactly_inside_its_sandbox(self):
        self.assert_counts()
        status = self.machine.api("status")
        self.assertEqual(sum(status["drops"].values()), 0)
        # The sandbox must not hide what the page's status view shows.
        for key in ("load", "memory_total_bytes", "memory_available_bytes", "disk_available_bytes"):
            self.assertIsNotNone(status["machine"][key], key)
        self.assertIsNotNone(status["store"]["written_bytes"])

    def test_03_is_exposed_to_little(self):
        for unit in ("brightstat.service", "brightstat-backup.service"):
            said = self.machine.run("systemd-analyze", "security", "--threshold=15", unit).stdout
            print(f"    {said.strip().splitlines()[-1].strip()}")

    def probe(self, command, *loosened):
        """Exit code and output of COMMAND in the service's sandbox, without `loosened` lines."""
        text = self.machine.sh(f"cat {UNITS}/brightstat.service")
        text = re.sub(r"(?m)^ExecStart=.*$", lambda _: "ExecStart=" + command, text)
        text = re.sub(r"(?m)^(Restart|RestartSec|WatchdogSec|Sockets|ExecReload)=.*\n", "", text)
        text = text.replace("Type=notify", "Type=oneshot")
        for line in loosened:
            self.assertRegex(text, rf"(?m)^{line}=")
            text = re.sub(rf"(?m)^{line}=.*\n", "", text)
        unit = f"probe-{time.monotonic_ns()}.service"
        self.machine.write(f"/etc/systemd/system/{unit}", text)
        self.machine.run("systemctl", "daemon-reload")
        code = self.machine.run("systemctl", "start", unit, check=False).returncode
        said = self.machine.sh(f"journalctl -o cat -u {unit}")
        self.machine.sh(f"systemctl reset-failed {unit} 2>&1 || true; rm /etc/systemd/system/{unit}; "
                        "systemctl daemon-reload")
        return code, said

    def test_04_cannot_open_an_ip_socket(self):
        command = "/bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/667 && echo connected'"
        # Without that line the probe succeeds: so it is that line that blocks it.
        _, said = self.probe(command, "NoExecPaths", "RestrictAddressFamilies")
        self.assertIn("connected", said)
        code, said = self.probe(command, "NoExecPaths")
        self.assertNotEqual(code, 0)
        self.assertIn("Address family not supported", said)
        self.assertNotIn("connected", said)

    def test_04_sees_no_socket_of_another_service(self):
        # Not "-type s": a mounted socket has the directory entry of a plain file.
        command = "/bin/bash -c 'echo seen: $(cd /run; find . -exec test -S {} \\\\; -print)'"
        _, said = self.probe(command, "NoExecPaths", "TemporaryFileSystem")
        self.assertRegex(said, "seen:.* ./dbus/system_bus_socket")
        _, said = self.probe(command, "NoExecPaths")
        # The socket for its reports to systemd.
        self.assertEqual(re.findall("seen:.*", said), ["seen: ./systemd/notify"])

    def test_04_starts_no_other_program(self):
        command = "/bin/sh -c 'echo started'"
        self.assertIn("started", self.probe(command, "NoExecPaths")[1])
        code, said = self.probe(command)
        self.assertNotEqual(code, 0)
        self.assertNotIn("started", said)
        self.assertIn("status=203/EXEC", said)

    def test_05_status_says_what_a_person_wants(self):
        def says():
            text = self.machine.show("brightstat.service", "StatusText")
            return text if "frames" in text else None
        text = wait_for("the status line", says, 30)
        print(f"    Status: {text}")
        self.assertRegex(text, r"in .*bit/s, out .*bit/s; \d+ hosts; \d+ frames, 0 dropped; database [\d.]+ kB")
        said = self.machine.run("systemctl", "status", "brightstat", "--no-pager").stdout
        self.assertIn(text, said)

    def test_06_no_request_fails_across_a_restart_and_a_kill(self):
        with Asking(self.machine) as asking:
            time.sleep(1)
            self.machine.run("systemctl", "restart", "brightstat")
            time.sleep(1)
            before = self.machine.show("brightstat.service", "MainPID")
            # A request that the killed process was answering is lost, as with any web server;
            # requests that arrive while it is dead are not.
            with asking.quiet:
                self.machine.run("kill", "-KILL", before)
            wait_for("systemd to start it again", lambda: self.machine.show(
                "brightstat.service", "MainPID") not in (before, "0"))
            time.sleep(1)
        print(f"    {asking.answers} requests were answered, {len(asking.failures)} were not")
        self.assertEqual(asking.failures, [])
        self.assertGreater(asking.answers, 50)

    def test_07_a_reload_loses_no_count_and_no_connection(self):
        self.machine.wait_for_page()
        before = self.machine.counted("10.99.0.8")
        pid = self.machine.show("brightstat.service", "MainPID")
        with Asking(self.machine) as asking:
            for commit in ("1min", "2min", "3min"):
                self.machine.write("/etc/brightstat/conf.d/local.toml",
                                   f"[history]\ncommit = \"{commit}\"\n[daemon]\nlog_level = \"debug\"\n")
                self.machine.run("systemctl", "reload", "brightstat")
                self.machine.send(300, source="10.99.0.8", pause=0.001)
        expected = (before[0] + 900, before[1] + 900 * 200)
        self.machine.wait_for_count(expected, "10.99.0.8")
        self.assertEqual(asking.failures, [])
        self.assertEqual(self.machine.show("brightstat.service", "MainPID"), pid)
        self.assertEqual(self.machine.show("brightstat.service", "NRestarts"), "1")
        self.assertIn("configuration reloaded", self.machine.sh("journalctl -u brightstat -o cat"))

    def test_08_a_bad_configuration_is_refused_by_name_while_the_old_one_runs_on(self):
        pid = self.machine.show("brightstat.service", "MainPID")
        self.machine.write("/etc/brightstat/conf.d/bad.toml", "[capture]\nring = \"many\"\n")
        done = self.machine.run("systemctl", "reload", "brightstat", check=False)
        self.assertNotEqual(done.returncode, 0)
        said = self.machine.sh("journalctl -u brightstat -o cat -n 20")
        self.assertIn("/etc/brightstat/conf.d/bad.toml:2: capture.ring: expected a whole number", said)
        self.assertEqual(self.machine.show("brightstat.service", "MainPID"), pid)
        self.assert_works()

    def test_09_a_bad_configuration_ends_in_one_clear_line_and_not_in_a_loop(self):
        wrong = "/etc/brightstat/conf.d/bad.toml:2: capture.ring: expected a whole number"
        done = self.machine.run("systemctl", "restart", "brightstat", check=False)
        self.assertNotEqual(done.returncode, 0)
        time.sleep(8)
        states = {what: self.machine.show("brightstat.service", what)
                  for what in ("ActiveState", "NRestarts", "ExecMainStatus")}
        self.assertEqual(states, {"ActiveState": "failed", "NRestarts": "0", "ExecMainStatus": "78"})
        self.assertIn(wrong, self.machine.run("systemctl", "status", "brightstat", check=False).stdout)
        # In the journal at a visible priority.
        self.assertIn(wrong, self.machine.sh("journalctl -u brightstat -p err -o cat -n 3"))
        # A visitor of the page is told, and requests do not break the listener.
        for _ in range(3):
            status, text = self.machine.get("/")
            self.assertEqual(status, 503)
            self.assertIn(wrong, text)
        self.assertEqual(self.machine.show("brightstat.socket", "ActiveState"), "active")
        doctor = self.machine.run("brightstat", "doctor", "--seconds=0", check=False)
        self.assertEqual(doctor.returncode, 78, doctor.stdout)
        self.assertIn(wrong, doctor.stdout)
        self.machine.sh("rm /etc/brightstat/conf.d/bad.toml; systemctl start brightstat")
        self.assert_works()

    def test_10_the_watchdog_revives_a_stopped_daemon(self):
        self.machine.write("/etc/systemd/system/brightstat.service.d/test.conf", "[Service]\nWatchdogSec=10\n")
        self.machine.sh("systemctl daemon-reload; systemctl restart brightstat")
        self.assert_works()
        # A live daemon is left alone.
        time.sleep(21)
        pid = self.machine.show("brightstat.service", "MainPID")
        self.assertEqual(self.machine.show("brightstat.service", "NRestarts"), "0")
        self.machine.run("kill", "-STOP", pid)
        wait_for("another process", lambda: self.machine.show(
            "brightstat.service", "MainPID") not in (pid, "0"), 40)
        self.assert_works()
        self.assertIn("watchdog", self.machine.sh("journalctl -u brightstat.service -o cat").lower())
        self.machine.sh("rm -r /etc/systemd/system/brightstat.service.d; systemctl daemon-reload")

    def test_11_backups_are_off_until_wanted_and_then_consistent(self):
        enabled = self.machine.run("systemctl", "is-enabled", "brightstat-backup.timer", check=False)
        self.assertEqual(enabled.stdout.strip(), "disabled")
        self.machine.write("/etc/systemd/system/brightstat-backup.service.d/test.conf",
                           "[Service]\nEnvironment=KEEP=2\n")
        self.machine.run("systemctl", "daemon-reload")
        for _ in range(3):
            self.machine.run("systemctl", "start", "brightstat-backup.service")
            time.sleep(1.1)
        found = sorted(glob.glob(self.machine.root + "/var/lib/brightstat/backup/*"))
        self.assertEqual(len(found), 2, found)
        for backup in found:
            path = backup.removeprefix(self.machine.root)
            self.assertIn("sound", self.machine.run("brightstat", "db", "check", "--database", path).stdout)
        self.machine.sh("systemctl enable --now brightstat-backup.timer")
        self.assertIn("brightstat-backup", self.machine.sh("systemctl list-timers --no-pager"))
        self.assertEqual(self.machine.show("brightstat.service", "ActiveState"), "active")

    def test_12_the_doctor_finds_what_is_wrong_and_nothing_else(self):
        with Asking(self.machine):
            healthy = self.machine.run("brightstat", "doctor", "--seconds=2", check=False)
        print("    " + healthy.stdout.replace("\n", "\n    "))
        self.assertEqual(healthy.returncode, 0)
        self.assertIn("I see only broadcast and my own traffic", healthy.stdout)
        # A mirrored port is distinguished from one that is not.
        mirror = threading.Thread(target=self.machine.send, args=(3000,), kwargs={"pause": 0.001})
        mirror.start()
        seeing = self.machine.run("brightstat", "doctor", "--seconds=2").stdout
        mirror.join()
        self.assertIn("host0 sees the traffic of others", seeing)
        self.machine.write("/etc/brightstat/conf.d/eth9.toml", "[capture]\ninterfaces = [\"host0\", \"eth9\"]\n")
        self.machine.run("systemctl", "stop", "brightstat.socket", "brightstat.service")
        ill = self.machine.run("brightstat", "doctor", "--seconds=1", check=False)
        self.assertEqual(ill.returncode, 69, ill.stdout)
        for words in ("eth9: there is no such interface", "brightstat.service is inactive", "3 problems found"):
            self.assertIn(words, ill.stdout)
        self.machine.sh("rm /etc/brightstat/conf.d/eth9.toml; systemctl start brightstat")
        self.assert_works()

    def test_13_history_survives_a_reboot(self):
        # At a stop the service writes its memory to the disk.
        self.machine.run("systemctl", "restart", "brightstat")
        packets, octets = self.stored()
        self.assertGreater(packets, 0)
        self.machine.wait_for_page()
        self.assert_counts()
        self.machine.reboot()
        self.assert_works()
        self.assertEqual(self.stored(), (packets + 500, octets + 100_000))

    def test_14_removed_it_leaves_the_data_and_purged_only_the_user(self):
        self.machine.run("apt-get", "remove", "--yes", "brightstat")
        self.assertFalse(self.machine.exists("/usr/bin/brightstat"))
        self.assertTrue(self.machine.exists("/var/lib/brightstat/brightstat.db"))
        self.assertTrue(self.machine.exists("/etc/brightstat/conf.d/local.toml"))
        self.machine.run("apt-get", "purge", "--yes", "brightstat")
        left = self.machine.sh(
            "find / -xdev ( -path /proc -o -path /sys -o -path /run -o -path /var/log -o -path /var/tmp "
            "-o -path '/var/cache/apt' ) -prune -o -iname '*brightstat*' -print".replace("(", "\\(").replace(")", "\\)"))
        # The drop-in and the timer's stamp are not the package's: this test created them as a user.
        ours = [line for line in left.split() if "test.conf" not in line
                and line not in ("/etc/systemd/system/brightstat-backup.service.d",
                                 "/var/lib/systemd/timers/stamp-brightstat-backup.timer")]
        self.assertEqual(ours, [])
        self.assertIn("_brightstat", self.machine.sh("cat /etc/passwd"))
        self.assertEqual(self.machine.sh("systemctl --failed --no-legend --plain"), "")


class OnBookworm(OnMachine):
    """Debian 12, whose systemd is older."""

    root = "bookworm"

    @classmethod
    def prepare(cls):
        cls.machine.install(OPTIONS.deb)

    def test_runs_captures_and_is_exposed_to_little(self):
        self.assert_works()
        self.assert_counts()
        said = self.machine.run("systemd-analyze", "security", "--threshold=15", "brightstat.service").stdout
        print(f"    {said.strip().splitlines()[-1].strip()}")
        self.machine.run("systemctl", "reload", "brightstat")
        with Asking(self.machine) as asking:
            self.machine.run("systemctl", "restart", "brightstat")
        self.assertEqual(asking.failures, [])
        journal = self.machine.sh("journalctl -b -u brightstat -u brightstat.socket -p warning -o cat")
        self.assertEqual(journal.strip(), "", "systemd has something to say about the units")


class Upgraded(OnMachine):
    """From the previous version, with a history and an edited configuration."""

    @classmethod
    def prepare(cls):
        cls.machine.install(older_package(OPTIONS.deb, cls.folder, "0.0.9"))

    def change(self, *steps):
        """Stops the daemon and changes its database. Returns the events that are then in it."""
        self.machine.run("systemctl", "stop", "brightstat.socket", "brightstat.service")
        path = self.machine.root + "/var/lib/brightstat/brightstat.db"
        owner = os.stat(path)
        with contextlib.closing(sqlite3.connect(path)) as database:
            for step in steps:
                step(database)
            events = database.execute("SELECT time, kind, message FROM v_event").fetchall()
        for name in glob.glob(path + "*"):
            os.chown(name, owner.st_uid, owner.st_gid)
        return events

    def test_nothing_is_asked_and_nothing_lost(self):
        machine = self.machine
        machine.sh("printf '[history]\\ncommit = \"1min\"\\n' >> /etc/brightstat/brightstat.toml")
        machine.write("/etc/brightstat/conf.d/local.toml", "[network]\nlocal = [\"10.99.0.0/24\"]\n")
        machine.run("systemctl", "restart", "brightstat")
        self.assert_works()
        self.assert_counts(700)
        edited = machine.sh("cat /etc/brightstat/brightstat.toml")
        # The schema before, then the first one together with the older package.
        of_3 = self.change(undo_schema_4)
        machine.run("systemctl", "start", "brightstat.socket", "brightstat.service")
        self.assert_works()
        self.assertIn("upgraded from schema 3 to 4", machine.sh("journalctl -u brightstat -o cat"))
        self.assertEqual(self.stored(), (700, 140_000))
        of_1 = self.change(undo_schema_4, undo_schemas_3_and_2)
        self.assertTrue(of_3 and of_1[:len(of_3)] == of_3, (of_3, of_1))
        said = machine.install(OPTIONS.deb)
        self.assertNotIn("Configuration file", said)
        self.assertEqual(machine.sh("dpkg-query -W -f '${db:Status-Abbrev}' brightstat"), "ii ")
        self.assertNotEqual(machine.sh("dpkg-query -W -f '${Version}' brightstat"), "0.0.9")
        self.assertEqual(machine.sh("cat /etc/brightstat/brightstat.toml"), edited)
        self.assertTrue(machine.exists("/etc/brightstat/conf.d/local.toml"))
        self.assert_works()
        self.assertIn("upgraded from schema 1 to 4", machine.sh("journalctl -u brightstat -o cat"))
        self.assertEqual(self.stored(), (700, 140_000))
        self.assertIn("sound", machine.run("brightstat", "db", "check").stdout)
        of_4 = self.change()
        self.assertTrue(of_4[:len(of_1)] == of_1 and len(of_4) > len(of_1), (of_1, of_4))


class Site(http.server.SimpleHTTPRequestHandler):
    """Serves files without logging."""

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class FromTheRepository(OnMachine):
    """Installed and upgraded with apt from our signed repository, as it would be on the web."""

    @classmethod
    def prepare(cls):
        cls.environment = dict(os.environ, GNUPGHOME=os.path.join(cls.folder, "gnupg"))
        os.mkdir(cls.environment["GNUPGHOME"], 0o700)
        cls.addClassCleanup(run, "gpgconf", "--kill", "all", env=cls.environment, check=False)
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "test@brightstat.example", "ed25519",
            "sign", env=cls.environment)
        cls.site = os.path.join(cls.folder, "apt")
        cls.publish(older_package(OPTIONS.deb, cls.folder, "0.0.9"))
        # The machine's own sources cannot be reached from here.
        cls.machine.sh("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
        handler = functools.partial(Site, directory=cls.folder)
        with Inside(cls.machine.outside):
            server = http.server.ThreadingHTTPServer((THEIRS, 80), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.shutdown)

    @classmethod
    def publish(cls, deb):
        """Recreates the repository with this package."""
        run(os.path.join(HERE, "../../debian/apt/make-repo.sh"), "test@brightstat.example", f"http://{THEIRS}/apt",
            cls.site, deb, env=cls.environment)

    def version(self):
        """The installed version of brightstat."""
        return self.machine.sh("dpkg-query -W -f '${Version}' brightstat")

    def test_1_the_keyring_package_is_all_that_apt_needs(self):
        keyring = os.path.join(self.site, "brightstat-archive-keyring-trixie.deb")
        run(os.path.join(HERE, "lint.sh"), keyring)
        self.machine.install(keyring)
        said = self.machine.run("apt-get", "update").stdout
        self.assertNotRegex(said, "(?m)^[WE]:")
        release = self.machine.sh("cat /var/lib/apt/lists/*_InRelease")
        self.assertRegex(release, "(?m)^Valid-Until: ")
        # Only brightstat comes from here, even if somebody steals the key.
        policy = self.machine.run("apt-cache", "policy").stdout
        self.assertRegex(policy, r"(?s)-1 http://\S+/apt trixie/main.*release [^\n]*o=brightstat")
        self.machine.run("apt-get", "install", "--yes", "brightstat")
        self.assertEqual(self.version(), "0.0.9")
        self.assert_works()

    def test_2_unattended_upgrades_take_the_next_version(self):
        self.publish(OPTIONS.deb)
        self.machine.run("apt-get", "update")
        with Asking(self.machine) as asking:
            said = self.machine.run("unattended-upgrade", "--verbose").stdout
        self.assertEqual(asking.failures, [], "the listener stays open during an upgrade")
        self.assertIn("origin=brightstat,codename=trixie", said)
        self.assertNotEqual(self.version(), "0.0.9", said)
        self.assert_works()

    def test_3_its_autopkgtests_pass(self):
        tests = os.path.join(HERE, "../../debian/tests")
        with open(tests + "/control", encoding="utf8") as file:
            names = [name for line in re.findall("(?m)^Tests: (.*)$", file.read()) for name in line.split(", ")]
        self.assertEqual(names[-1], "purge", "the others need what it takes away")
        for name in names:
            self.machine.put(f"{tests}/{name}", f"/var/tmp/autopkgtest/{name}")
            started = time.monotonic()
            self.machine.run("/var/tmp/autopkgtest/" + name)
            print(f"    {name}: passed ({time.monotonic() - started:.1f} s)")
        self.machine.run("apt-get", "install", "--yes", "brightstat")

    def test_4_a_package_that_was_tampered_with_is_refused(self):
        pool, = glob.glob(self.site + "/pool/main/b/brightstat/*.deb")
        with open(pool, "r+b") as file:
            file.seek(-1000, os.SEEK_END)
            octet = file.read(1)
            file.seek(-1000, os.SEEK_END)
            file.write(bytes([octet[0] ^ 1]))
        self.machine.run("apt-get", "clean")
        done = self.machine.run("apt-get", "install", "--yes", "--reinstall", "brightstat", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout, "Hash Sum mismatch|Hashes of expected file")

    def test_5_an_index_that_was_tampered_with_is_refused(self):
        release = self.site + "/dists/trixie/InRelease"
        with open(release, encoding="utf8") as file:
            text = file.read()
        with open(release, "w", encoding="utf8") as file:
            file.write(text.replace("Label: brightstat", "Label: brightstaT"))
        os.remove(self.site + "/dists/trixie/Release")
        self.machine.sh("rm -rf /var/lib/apt/lists/*")
        done = self.machine.run("apt-get", "update", "--error-on=any", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout, "BADSIG|not valid|verification|[Ss]ignature")


if __name__ == "__main__":
    runner.main(sys.modules[__name__], OPTIONS, "--roots")
