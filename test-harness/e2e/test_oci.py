"""The image: what is in it, that its digests are right and that it is the same when made again."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile

from gateway.config import ROOT

OUT = ROOT / "target" / "oci"


def make():
    subprocess.run([sys.executable, "-m", "oci"], check=True, capture_output=True,
                   cwd=ROOT / "test-harness")
    return (OUT / "wasm-ai-gateway.tar").read_bytes()


def files(archive):
    """Regular files by name; links as where they lead."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {each.name: each.linkname or opened.extractfile(each).read() for each in opened}


def test_the_image_and_its_bill():
    archive = make()
    whole = files(archive)
    for name, content in whole.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(content).hexdigest() == name.split("/")[-1]

    def blob(descriptor):
        content = whole["blobs/" + descriptor["digest"].replace(":", "/")]
        assert len(content) == descriptor["size"]
        return content

    [manifest] = json.loads(whole["index.json"])["manifests"]
    manifest = json.loads(blob(manifest))
    config = json.loads(blob(manifest["config"]))
    [layer] = manifest["layers"]
    unpacked = gzip.decompress(blob(layer))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(unpacked).hexdigest()}"]
    inside = files(unpacked)
    module = (ROOT / "dist" / "ai-gateway.wasm").read_bytes()
    assert inside["plugin.wasm"] == module and inside["ai-gateway.wasm"] == "plugin.wasm"

    bill = json.loads(inside["sbom.cdx.json"])
    names = {each["name"] for each in bill["components"]}
    assert {"proxy-wasm", "serde_json", "shared", "ai-proxy", "rust-std"} <= names
    # Of tests, tools and macros there is nothing in a module.
    assert not names & {"proptest", "wasmtime", "serde_derive", "ureq", "schemars"}
    assert bill["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(module).hexdigest()
    known = {each["bom-ref"] for each in bill["components"]}
    for each in bill["dependencies"]:
        assert set(each["dependsOn"]) <= known
    # From a registry, so with the checksum of what was downloaded.
    assert all(each.get("hashes") for each in bill["components"]
               if each["name"] in ("proxy-wasm", "serde_json", "rsa"))

    for line in (OUT / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((OUT / name).read_bytes()).hexdigest() == digest, name
    assert make() == archive
