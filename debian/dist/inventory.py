#!/usr/bin/env python3
"""inventory.py OUT-FOLDER TARGET... - what the programs for these targets are made of.

Writes brightstat-VERSION.cdx.json (an SBOM, CycloneDX 1.5) and third-party-licences.txt (the
terms of everything that is linked in, with whose they are) into the folder. It asks cargo,
package-lock.json, and the sources that cargo, npm and `make build` have brought; nothing is
fetched. The same source gives the same files.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
UI = TOP / "src/web/ui"
PI = TOP / "target/toolchain/pi"
NAMES = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
UNAVAILABLE = 69


def fail(text):
    print(f"inventory.py: {text}", file=sys.stderr)
    sys.exit(UNAVAILABLE)


def run(*command):
    return subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout


def texts(folder):
    """The files of a folder that say under which terms it is."""
    found = [p for p in sorted(folder.iterdir()) if p.is_file() and NAMES.match(p.name)]
    return [p.read_text(encoding="utf-8", errors="replace").strip() for p in found]


def crates(targets):
    """Crates that are linked into the program of any of the targets: no build scripts, no
    macros, which run at build time, and no tests."""
    lock = tomllib.loads((TOP / "Cargo.lock").read_text())
    sums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    found, edges, root = {}, {}, None
    for target in targets:
        metadata = json.loads(
            run("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target)
        )
        packages = {p["id"]: p for p in metadata["packages"]}
        nodes = {n["id"]: n for n in metadata["resolve"]["nodes"]}
        root = packages[metadata["resolve"]["root"]]
        todo = [root["id"]]
        while todo:
            package = packages[todo.pop()]
            key = (package["name"], package["version"])
            if key not in found:
                found[key] = package
            edges.setdefault(key, set())
            for dep in nodes[package["id"]]["deps"]:
                other = packages[dep["pkg"]]
                is_linked = any(kind["kind"] is None for kind in dep["dep_kinds"])
                is_macro = any("proc-macro" in t["kind"] for t in other["targets"])
                if not is_linked or is_macro:
                    continue
                to = (other["name"], other["version"])
                if to not in edges[key]:
                    edges[key].add(to)
                    todo.append(dep["pkg"])
    rows = []
    for (name, version), package in sorted(found.items()):
        if package["id"] == root["id"]:
            continue
        rows.append(
            {
                "ref": f"pkg:cargo/{name}@{version}",
                "name": name,
                "version": version,
                # Older crates write "MIT/Apache-2.0".
                "licence": (package["license"] or "NOASSERTION").replace("/", " OR "),
                "sha256": sums[(name, version)],
                "texts": texts(Path(package["manifest_path"]).parent),
                "whose": ", ".join(package["authors"]),
            }
        )
    names = {key: f"pkg:cargo/{key[0]}@{key[1]}" for key in edges}
    own = (root["name"], root["version"])
    depends = {names[key]: sorted(names[to] for to in other) for key, other in edges.items()}
    return root, names[own], rows, depends, found


def page():
    """What is bundled into the page."""
    lock = json.loads((UI / "package-lock.json").read_text())
    rows = []
    for path, package in sorted(lock["packages"].items()):
        if not path or package.get("dev"):
            continue
        folder = UI / path
        if not folder.is_dir():
            fail(f"{folder}: not there; 'make ui' brings it")
        name = path.removeprefix("node_modules/")
        rows.append(
            {
                "ref": f"pkg:npm/{name}@{package['version']}",
                "name": name,
                "version": package["version"],
                "licence": package["license"],
                "texts": texts(folder),
                "whose": "",
            }
        )
    return rows


def libraries(found):
    """C libraries, Rust's std, and what Zig brings."""
    sqlite = next(p for (name, _), p in found.items() if name == "libsqlite3-sys")
    header = (Path(sqlite["manifest_path"]).parent / "sqlite3/sqlite3.h").read_text()
    blessing = header.split("/*", 1)[1].split("*****", 1)[0].replace("**", "").strip()
    row = lambda ref, name, version, licence, texts: {
        "ref": ref, "name": name, "version": version, "licence": licence, "texts": texts, "whose": "",
    }
    version = re.search(r'#define SQLITE_VERSION\s+"([^"]+)"', header).group(1)
    rows = [row(f"pkg:generic/sqlite@{version}", "sqlite", version, "blessing", [blessing])]

    rust = re.search(r"release: (\S+)", run("rustc", "-vV")).group(1)
    sysroot = Path(run("rustc", "--print", "sysroot").strip())
    folders = [sysroot / "share/doc/rust/licenses", sysroot / "share/doc/rust"]
    terms = [
        path.read_text()
        for wanted in ("MIT.txt", "LICENSE-MIT", "Apache-2.0.txt", "LICENSE-APACHE")
        for folder in folders
        if (path := folder / wanted).is_file()
    ]
    if not terms:
        fail(f"{folders[0]}: no licences of Rust; is it complete?")
    rows.append(row(f"pkg:generic/rust-std@{rust}", "rust-std", rust, "MIT OR Apache-2.0", terms))

    if not (PI / "licences").is_dir():
        fail(f"{PI}/licences: not there; 'make build ARCH=armhf WAY=host' brings it")
    read = lambda name: [(PI / "licences" / name).read_text().strip()]
    pins = dict(re.findall(r"^(\w+)=(\S+)$", (TOP / "debian/toolchain/pins.sh").read_text(), re.M))
    musl = (PI / "zig/lib/libc/musl/src/internal/version.h").read_text()
    musl = re.search(r'"([^"]+)"', musl).group(1)
    pcap, zig = pins["LIBPCAP_VERSION"], pins["ZIG_VERSION"]
    pcap_row = row(f"pkg:generic/libpcap@{pcap}", "libpcap", pcap, "BSD-3-Clause", read(f"libpcap-{pcap}"))
    pcap_row["sha256"] = pins["LIBPCAP_SHA256"]
    rows += [
        pcap_row,
        row(f"pkg:generic/musl@{musl}", "musl", musl, "MIT", read("musl")),
        row(
            f"pkg:generic/llvm-libunwind@zig-{zig}", "llvm-libunwind", f"zig-{zig}",
            "Apache-2.0 WITH LLVM-exception", read("llvm-libunwind"),
        ),
        row(f"pkg:generic/zig-compiler-rt@{zig}", "zig-compiler-rt", zig, "MIT", read("zig-compiler-rt")),
    ]
    return rows


def sbom(root, own, rows, depends):
    def component(row):
        entry = {
            "type": "library",
            "bom-ref": row["ref"],
            "name": row["name"],
            "version": row["version"],
            "licenses": [{"expression": row["licence"]}],
            "purl": row["ref"],
        }
        if row["licence"] == "blessing":
            entry["licenses"] = [{"license": {"id": "blessing"}}]
        if row.get("sha256"):
            entry["hashes"] = [{"alg": "SHA-256", "content": row["sha256"]}]
        return entry

    components = [component(row) for row in rows]
    listed = {row["ref"] for row in rows}
    direct = set(depends[own])
    direct |= {ref for ref in listed if not ref.startswith("pkg:cargo/")}
    graph = [{"ref": own, "dependsOn": sorted(direct)}]
    graph += [{"ref": ref, "dependsOn": to} for ref, to in sorted(depends.items()) if ref != own]
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # From the contents: no date, no chance.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": root["name"],
                "version": root["version"],
                "description": root["description"],
                "licenses": [{"expression": root["license"]}],
                "purl": own,
            }
        },
        "components": components,
        "dependencies": graph,
    }


def licences(root, rows):
    """Every text once, with the names of all that stand under it."""
    users, out = {}, []
    out.append(f"{root['name']} {root['version']}: {root['license']}\n")
    out.append("The programs hold the following works of others. Their terms are below.\n")
    without = []
    for row in rows:
        whose = f"  ({row['whose']})" if row["whose"] else ""
        out.append(f"  {row['name']} {row['version']}: {row['licence']}{whose}")
        if not row["texts"]:
            without.append(row)
        for text in row["texts"]:
            # The same words in other lines are the same text.
            users.setdefault(" ".join(text.split()), (text, []))[1].append(
                f"{row['name']} {row['version']}"
            )
    if without:
        out.append("\nThese name their licence, which is below, and come without its text:")
        out += [f"  {row['name']} {row['version']}: {row['licence']}" for row in without]
    for text, names in users.values():
        out.append("\n" + "=" * 78 + "\n" + ", ".join(names) + "\n" + "-" * 78 + "\n" + text)
    return "\n".join(out) + "\n"


def main():
    folder, *targets = sys.argv[1:]
    folder = Path(folder)
    root, own, rows, depends, found = crates(targets)
    rows = rows + page() + libraries(found)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{root['name']}-{root['version']}.cdx.json"
    path.write_text(json.dumps(sbom(root, own, rows, depends), indent=2) + "\n")
    (folder / "third-party-licences.txt").write_text(licences(root, rows))
    print(f"{path}: {len(rows)} components")


if __name__ == "__main__":
    main()
