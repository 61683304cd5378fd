"""Steps that must refuse: a wrong base, hash, signature or package ends with a remedy."""

import shutil
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
STEPS = TOP / "image"


def step(name, *words, cwd=TOP):
    """Runs a step; returns its exit code and its output."""
    done = subprocess.run([STEPS / name, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


class Fetch(unittest.TestCase):
    """Downloads, from a folder that plays the download host."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="brightstat-fetch-"))
        self.host = self.folder / "host"
        self.host.mkdir()
        (self.host / "os.img").write_bytes(b"an image" * 1000)
        subprocess.run(["xz", "os.img"], cwd=self.host, check=True)
        self.home = self.folder / "gpg"
        self.home.mkdir(mode=0o700)
        self.keys = [self.key(f"maker{number}@brightstat.example") for number in range(2)]
        # A copy of the step, with its own bases.
        self.steps = self.folder / "image"
        self.steps.mkdir()
        for name in ("fetch", "disk.py"):
            shutil.copy(STEPS / name, self.steps / name)

    def tearDown(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)
        shutil.rmtree(self.folder)

    def gpg(self, *words):
        return subprocess.run(["gpg", "--batch", "--quiet", "--homedir", self.home, "--pinentry-mode", "loopback",
                               "--passphrase", "", *words], check=True, capture_output=True, text=True).stdout

    def key(self, name):
        self.gpg("--quick-generate-key", name, "ed25519", "sign")
        listing = self.gpg("--with-colons", "--list-keys", name)
        return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))

    def publish(self, signer):
        (self.host / "os.img.xz.sig").unlink(missing_ok=True)
        self.gpg("--local-user", signer, "--output", self.host / "os.img.xz.sig", "--detach-sign", self.host / "os.img.xz")
        (self.host / "key").unlink(missing_ok=True)
        self.gpg("--output", self.host / "key", "--export")

    def fetch(self, sha256="", fingerprint=None, size=0):
        (self.steps / "bases.toml").write_text(
            f'[key]\nfingerprint = "{self.keys[0] if fingerprint is None else fingerprint}"\nurl = "{(self.host / "key").as_uri()}"\n'
            f'[raspios.arm64]\nurl = "{(self.host / "os.img.xz").as_uri()}"\nsha256 = "{sha256}"\nsize = {size}\n', encoding="utf8")
        done = subprocess.run([self.steps / "fetch", "raspios", "arm64", self.folder / "cache"], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def sum(self):
        return subprocess.run(["sha256sum", self.host / "os.img.xz"], capture_output=True, text=True, check=True).stdout.split()[0]

    def test_a_pinned_and_signed_image_is_taken_and_kept(self):
        self.publish(self.keys[0])
        code, out, _ = self.fetch(self.sum(), size=8000)
        self.assertEqual(code, 0)
        self.assertEqual(Path(out.strip()).read_bytes(), b"an image" * 1000)
        # The second time the host is not needed.
        shutil.rmtree(self.host)
        self.assertEqual(self.fetch(subprocess.run(["sha256sum", self.folder / "cache/os.img.xz"], capture_output=True,
                                                   text=True, check=True).stdout.split()[0])[0], 0)

    def test_another_hash_is_refused_and_not_kept(self):
        self.publish(self.keys[0])
        code, _, err = self.fetch("0" * 64)
        self.assertEqual(code, 65)
        self.assertIn("it is not the image that was chosen", err)
        self.assertFalse((self.folder / "cache/os.img.xz").exists())

    def test_somebody_elses_signature_is_refused_even_if_the_key_is_there(self):
        self.publish(self.keys[1])
        for sha256 in (self.sum(), ""):
            code, _, err = self.fetch(sha256)
            self.assertEqual(code, 65)
            self.assertIn(f"no good signature of {self.keys[0]}", err)

    def test_without_a_pin_the_signature_decides_and_the_hash_is_told(self):
        self.publish(self.keys[0])
        code, _, err = self.fetch()
        self.assertEqual(code, 0)
        self.assertIn(f'sha256 = "{self.sum()}"', err)

    def test_without_a_fingerprint_nothing_is_taken(self):
        self.publish(self.keys[0])
        code, _, err = self.fetch(fingerprint="")
        self.assertEqual(code, 65)
        self.assertIn("fingerprint", err)

    def test_a_host_that_is_not_there_is_exit_69(self):
        code, _, err = self.fetch(self.sum())
        self.assertEqual(code, 69)
        self.assertIn("cannot be had", err)

    def test_an_image_of_ones_own_is_taken_as_it_is(self):
        self.assertEqual(step("fetch", self.host / "os.img.xz", "arm64", self.folder / "own")[0], 0)
        code, text = step("fetch", self.folder / "none.img", "arm64", self.folder / "own")
        self.assertEqual(code, 66)
        self.assertIn("BASE is raspios, debian, or the path of an image", text)

    def test_a_file_with_the_name_of_a_pinned_image_has_to_be_that(self):
        pinned = tomllib.loads((STEPS / "bases.toml").read_text(encoding="utf8"))["raspios"]["arm64"]["url"].rsplit("/", 1)[1]
        shutil.copy(self.host / "os.img.xz", self.folder / pinned)
        code, text = step("fetch", self.folder / pinned, "arm64", self.folder / "own")
        self.assertEqual(code, 65)
        self.assertIn("it is not the image that was chosen", text)


class Bases(unittest.TestCase):
    """The data file."""

    def test_every_base_is_pinned_and_comes_from_the_makers_host(self):
        bases = tomllib.loads((STEPS / "bases.toml").read_text(encoding="utf8"))
        self.assertRegex(bases["key"]["fingerprint"], "^[0-9A-F]{40}$")
        for arch, entry in bases["raspios"].items():
            self.assertTrue(entry["url"].startswith("https://downloads.raspberrypi.com/"), arch)
            self.assertRegex(entry["sha256"], "^([0-9a-f]{64})?$")


class Bake(unittest.TestCase):
    """Inputs that are not a base."""

    def test_what_is_no_disk_of_two_partitions_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "one.img"
            with open(image, "wb") as file:
                file.truncate(64 << 20)
            subprocess.run(["/usr/sbin/sfdisk", "--quiet", image], input="label: gpt\nsize=32MiB\n", text=True, check=True)
            deb = Path(folder) / "brightstat.deb"
            tree = Path(folder) / "tree/DEBIAN"
            tree.mkdir(parents=True)
            (tree / "control").write_text("Package: brightstat\nVersion: 1\nArchitecture: arm64\nMaintainer: nobody\n"
                                          "Description: nothing\n", encoding="utf8")
            (tree.parent / "file").write_text("", encoding="utf8")
            subprocess.run(["dpkg-deb", "--build", tree.parent, deb], check=True, capture_output=True)
            code, text = step("bake", image, Path(folder) / "out.img", deb)
            self.assertEqual(code, 65)
            self.assertIn("two MBR partitions", text)
            self.assertFalse((Path(folder) / "out.img").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
