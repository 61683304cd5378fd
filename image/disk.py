"""The disk image for all steps: reads and writes its table, its FAT and its ext4, in place.

e2fsprogs, mtools and sfdisk work at an offset into one file: no root, no loop device, no mount.
Names in the root file system are absolute paths.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SECTOR = 512
# sysexits: what was given is wrong; something is not there; it cannot be made.
USAGE, DATA, NO_INPUT, UNAVAILABLE, CANNOT_CREATE = 64, 65, 66, 69, 73
# Debian keeps these programs in sbin, which not every PATH has.
os.environ["PATH"] += ":/usr/sbin:/sbin"


def fail(text, code=DATA):
    """Ends the step: one line that says what is wrong and what to do."""
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)
    sys.exit(code)


def run(*command, **more):
    """Runs a program; returns what it printed. If it fails, the step fails with its output."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="surrogateescape", check=False, **more)
    if done.returncode != 0:
        fail(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def quoted(path):
    """A path as debugfs reads it."""
    if '"' in path or "\n" in path:
        fail(f"{path!r}: a name that debugfs cannot be given")
    return f'"{path}"'


class Image:
    """One disk image of two partitions: FAT `bootfs` and ext4 `rootfs`."""

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.is_file():
            fail(f"{path}: there is no such file", NO_INPUT)
        table = json.loads(run("sfdisk", "--json", self.path))["partitiontable"]
        self.parts = table["partitions"]
        self.disk_id = table.get("id", "").removeprefix("0x")
        types = [part["type"] for part in self.parts]
        if table["label"] != "dos" or types != ["c", "83"]:
            fail(f"{path}: Raspberry Pi OS has two MBR partitions, FAT (type c) and Linux (type 83); "
                 f"here is {table['label']} with {types}")

    def offset(self, number):
        """Where partition 1 or 2 begins, in bytes."""
        return self.parts[number - 1]["start"] * SECTOR

    def size(self, number):
        """How long it is, in bytes."""
        return self.parts[number - 1]["size"] * SECTOR

    # The FAT partition.

    @property
    def _fat(self):
        return f"{self.path}@@{self.offset(1)}"

    def fat_list(self):
        """Names of all files on bootfs, as /name."""
        return [line.removeprefix("::") for line in run("mdir", "-/", "-b", "-i", self._fat, "::").splitlines()
                if line and not line.endswith("/")]

    def fat_read(self, name):
        """A file on bootfs, or None."""
        done = subprocess.run(["mtype", "-i", self._fat, f"::{name}"], capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def fat_write(self, files):
        """Puts files on bootfs, replacing those of the same name, with their times."""
        run("mcopy", "-o", "-m", "-i", self._fat, *files, "::/")

    # The root file system.

    @property
    def root(self):
        """The ext4 as e2fsprogs name it."""
        return f"{self.path}?offset={self.offset(2)}"

    def debugfs(self, commands, write=False):
        """Runs commands; returns standard output and standard error of the whole."""
        with tempfile.NamedTemporaryFile("w", suffix=".debugfs", errors="surrogateescape") as script:
            script.write("".join(command + "\n" for command in commands))
            script.flush()
            done = subprocess.run(["debugfs", *(["-w"] if write else []), "-f", script.name, self.root],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  errors="surrogateescape", check=False)
        if done.returncode != 0:
            fail(f"debugfs {self.root}: exit {done.returncode}\n{done.stderr}")
        return done.stdout, done.stderr

    def kinds(self, paths):
        """What each path is in the image: "directory", "regular", "symlink", ..., or None.

        Links on the way are not followed: `/lib/x` is not found where /lib is a link.
        """
        paths = list(paths)
        found = {}
        out, _ = self.debugfs([f"stat {quoted(path)}" for path in paths])
        # Each command is printed before its answer.
        for answer in re.split(r"^debugfs: ", out, flags=re.MULTILINE)[1:]:
            command, _, rest = answer.partition("\n")
            path = command.removeprefix("stat ").strip('"')
            kind = re.search(r"^Inode: \d+ +Type: (\w+)", rest, re.MULTILINE)
            found[path] = kind.group(1) if kind else None
        return {path: found.get(path) for path in paths}

    def fetch(self, path, to):
        """Copies a file or a folder out of the image to the path `to`, if it is there."""
        kind = self.kinds([path])[path]
        if kind is None:
            return False
        to = Path(to)
        to.parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            # rdump creates the folder itself below the given one.
            _, errors = self.debugfs([f"rdump {quoted(path)} {quoted(str(to.parent))}"])
        else:
            _, errors = self.debugfs([f"dump -p {quoted(path)} {quoted(str(to))}"])
        errors = [line for line in errors.splitlines() if line and not line.startswith("debugfs 1.")]
        # Only fakeroot or root can set owners; the content is complete.
        errors = [line for line in errors if "while changing ownership" not in line]
        if errors:
            fail(f"{path} could not be read from {self.path}:\n" + "\n".join(errors))
        return True

    def read(self, path):
        """The bytes of a file in the image, or None."""
        with tempfile.TemporaryDirectory() as folder:
            to = Path(folder) / "file"
            if self.kinds([path])[path] != "regular" or not self.fetch(path, to):
                return None
            return to.read_bytes()

    def status(self):
        """dpkg's database: name (with :arch for a foreign one) -> fields."""
        text = self.read("/var/lib/dpkg/status")
        if text is None:
            fail(f"{self.path}: there is no /var/lib/dpkg/status: this is not a Debian")
        found = {}
        for stanza in text.decode().split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
            if "Package" in fields:
                found[f"{fields['Package']}:{fields.get('Architecture', '')}"] = fields
        return found

    def architecture(self):
        """The base's own architecture: that of its dpkg."""
        for fields in self.status().values():
            if fields["Package"] == "dpkg":
                return fields["Architecture"]
        return fail(f"{self.path}: dpkg is not installed there")

    def free(self):
        """Free bytes of the root file system."""
        head = run("dumpe2fs", "-h", self.root)
        numbers = dict(re.findall(r"^(Free blocks|Block size): +(\d+)", head, re.MULTILINE))
        return int(numbers["Free blocks"]) * int(numbers["Block size"])


def copy(source, to):
    """Copies an image, keeping its holes; shares the blocks where the file system can."""
    if shutil.which("cp") is None:
        fail("cp is missing", UNAVAILABLE)
    run("cp", "--reflink=auto", "--sparse=always", source, to)
