"""Lists the crates of the program, from Cargo.lock and `cargo metadata`, which needs no network once the crates are cached.

crates.py check    checks that every crate comes from crates.io with a checksum, or from vendor/ with a PATCH.md; that its
                   licence is allowed by deny.toml; and that none is banned
crates.py sbom     prints a CycloneDX 1.5 SBOM of the crates in the program
crates.py notices  prints their licences
"""

import json
import pathlib
import platform
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENDOR = ROOT / "vendor"
TARGET = f"{platform.machine()}-unknown-linux-gnu"
rules = tomllib.loads((ROOT / "deny.toml").read_text())
locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]


def metadata(*more):
    output = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", *more], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    return json.loads(output.stdout)


def is_allowed(licence):
    """Whether an SPDX expression can be met by the licences of deny.toml."""
    words = re.findall(r"[()]|[^\s()]+", licence.replace("/", " OR "))
    place = 0

    def alternatives():
        nonlocal place
        met = all_of()
        while words[place : place + 1] == ["OR"]:
            place += 1
            met = all_of() or met
        return met

    def all_of():
        nonlocal place
        met = one()
        while words[place : place + 1] == ["AND"]:
            place += 1
            met = one() and met
        return met

    def one():
        nonlocal place
        word = words[place]
        place += 1
        if word == "(":
            met = alternatives()
            place += 1
            return met
        if words[place : place + 1] == ["WITH"]:
            word = f"{word} WITH {words[place + 1]}"
            place += 2
        return word in rules["licenses"]["allow"]

    return alternatives() and place == len(words)


def of_the_program():
    """The crates of the release binary on Linux: without dev-dependencies, with build-dependencies."""
    graph = metadata("--filter-platform", TARGET)
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    seen, left = set(), [graph["resolve"]["root"]]
    while left:
        crate = left.pop()
        if crate not in seen:
            seen.add(crate)
            used = [dep for dep in nodes[crate]["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
            left += [dep["pkg"] for dep in used]
    crates = [one for one in graph["packages"] if one["id"] in seen and one["name"] != "offboarder"]
    return sorted(crates, key=lambda one: (one["name"], one["version"]))


def check():
    faults = []
    vendored = {folder.name for folder in VENDOR.iterdir()}
    registries = [f"registry+{registry}" for registry in rules["sources"]["allow-registry"]]
    banned = {one["name"] for one in rules["bans"]["deny"]}
    for one in locked:
        name = f"{one['name']} {one['version']}"
        if one["name"] == "offboarder" or (one["name"] in vendored and "source" not in one):
            continue
        if one.get("source") not in registries:
            faults.append(f"{name} comes from {one.get('source', 'a folder')}")
        if not re.fullmatch(r"[0-9a-f]{64}", one.get("checksum", "")):
            faults.append(f"{name} has no checksum in Cargo.lock")
        if one["name"] in banned:
            faults.append(f"{name} is banned by deny.toml")
    for name in vendored:
        if not (VENDOR / name / "PATCH.md").is_file():
            faults.append(f"vendor/{name} has no PATCH.md that says what was changed, and why")
    crates = [one for one in metadata("--filter-platform", TARGET)["packages"] if one["name"] != "offboarder"]
    for one in crates:
        if not is_allowed(one["license"] or "none"):
            faults.append(f"{one['name']} {one['version']} has the licence {one['license']}; deny.toml allows others")
    print("\n".join(faults) or f"{len(crates)} crates: from crates.io, with checksums, or from vendor/; under licences of deny.toml")
    return 1 if faults else 0


def hashes(checksum):
    return {"hashes": [{"alg": "SHA-256", "content": checksum}]} if checksum else {"modified": True}


def sbom():
    sums = {(one["name"], one["version"]): one.get("checksum") for one in locked}
    own = next(one for one in locked if one["name"] == "offboarder")
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:cargo/{one['name']}@{one['version']}",
            "name": one["name"],
            "version": one["version"],
            "purl": f"pkg:cargo/{one['name']}@{one['version']}",
            "licenses": [{"expression": one["license"].replace("/", " OR ")}],
            **hashes(sums[one["name"], one["version"]]),
        }
        for one in of_the_program()
    ]
    program = {"type": "application", "bom-ref": "offboarder", "name": "offboarder", "version": own["version"]}
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": program}}
    print(json.dumps(document | {"components": components}, indent=1))
    return 0


def notices():
    for one in of_the_program():
        print(f"{'=' * 100}\n{one['name']} {one['version']}: {one['license']}\n{one['repository'] or ''}")
        folder = pathlib.Path(one["manifest_path"]).parent
        for file in sorted(folder.iterdir()):
            if re.match(r"(LICEN[CS]E|COPYING|NOTICE|COPYRIGHT)", file.name, re.IGNORECASE) and file.is_file():
                print(f"{'-' * 100}\n{file.read_text(errors='replace').strip()}")
    return 0


if __name__ == "__main__":
    assert is_allowed("MIT OR GPL-3.0") and is_allowed("(MIT OR GPL-3.0) AND Unicode-3.0") and is_allowed("MIT/X")
    assert not any(map(is_allowed, ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0 WITH x", "none"]))
    sys.exit({"check": check, "sbom": sbom, "notices": notices}[sys.argv[1]]())
