"""The bill of materials of a module, in CycloneDX 1.6: what cargo links into it, and no more."""

import hashlib
import json
import re
import subprocess
import uuid

from . import ROOT


LOCKED = re.compile(r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"')


def cargo(*arguments):
    """What a cargo command prints."""
    return subprocess.run(["cargo", *arguments, "--locked"], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout


def linked(package):
    """Names and versions of the crates that are linked into the module: no macros, no tools."""
    tree = cargo("tree", "-p", package, "--target", "wasm32-wasip1", "-e", "normal,no-proc-macro",
                 "--prefix", "none", "--no-dedupe")
    return {tuple(re.match(r"(\S+) v(\S+)", line).groups()) for line in tree.splitlines() if line}


def purl(name, version):
    """A crate's package URL."""
    return f"pkg:cargo/{name}@{version}"


def bill(package, module):
    """The bill of materials of the module (its bytes) that is built from this package."""
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform",
                                "wasm32-wasip1"))
    checksums = {(name, version): checksum for name, version, checksum
                 in LOCKED.findall((ROOT / "Cargo.lock").read_text())}
    crates = linked(package)
    packages = {each["id"]: each for each in metadata["packages"]
                if (each["name"], each["version"]) in crates}
    root = next(each for each in packages.values() if each["name"] == package)
    compiler = re.match(r"rustc (\S+)", subprocess.run(["rustc", "--version"], cwd=ROOT, check=True,
                                                        capture_output=True, text=True).stdout)[1]
    # The standard library, which no lock file has.
    components = [{"type": "library", "bom-ref": f"pkg:generic/rust-std@{compiler}", "name": "rust-std",
                   "version": compiler, "purl": f"pkg:generic/rust-std@{compiler}",
                   "licenses": [{"expression": "MIT OR Apache-2.0"}]}]
    for each in sorted(packages.values(), key=lambda each: (each["name"], each["version"])):
        if each is root:
            continue
        name, version = each["name"], each["version"]
        component = {"type": "library", "bom-ref": purl(name, version), "name": name,
                     "version": version, "purl": purl(name, version)}
        if each.get("license"):
            # Crates of before the present form wrote `/` for `OR`.
            expression = re.sub(r"\s*/\s*", " OR ", each["license"])
            component["licenses"] = [{"expression": expression}]
        if checksums.get((name, version)):
            component["hashes"] = [{"alg": "SHA-256", "content": checksums[(name, version)]}]
        components.append(component)
    needs = []
    for node in sorted(metadata["resolve"]["nodes"], key=lambda node: node["id"]):
        if node["id"] in packages:
            on = sorted({purl(packages[each]["name"], packages[each]["version"])
                         for each in node["dependencies"] if each in packages})
            needs.append({"ref": purl(packages[node["id"]]["name"], packages[node["id"]]["version"]),
                          "dependsOn": on})
    digest = hashlib.sha256(module).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # The same module has the same bill.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": purl(package, root["version"]), "name": package,
            "version": root["version"], "purl": purl(package, root["version"]),
            "licenses": [{"expression": root["license"]}],
            "hashes": [{"alg": "SHA-256", "content": digest}]}},
        "components": components,
        "dependencies": needs,
    }
