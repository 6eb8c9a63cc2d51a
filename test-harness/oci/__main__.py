"""Writes target/oci: an image of the bundle, its bill of materials, all modules, and their checksums."""

import hashlib
import json

from . import PACKAGE, ROOT, image, sbom

OUT = ROOT / "target" / "oci"


def main():
    """Writes them."""
    module = (ROOT / "dist" / f"{PACKAGE}.wasm").read_bytes()
    OUT.mkdir(parents=True, exist_ok=True)
    listed = sbom.bill(PACKAGE, module)
    version = listed["metadata"]["component"]["version"]
    bill = json.dumps(listed, indent=2).encode() + b"\n"
    labels = {"org.opencontainers.image.title": "wasm-ai-gateway",
              "org.opencontainers.image.version": version,
              "org.opencontainers.image.licenses": "Apache-2.0"}
    # Istio, Envoy Gateway and Higress look for `plugin.wasm`; who mounts the image for the other name.
    files = {"plugin.wasm": module, f"{PACKAGE}.wasm": "plugin.wasm", "sbom.cdx.json": bill,
             "LICENSE": (ROOT / "LICENSE").read_bytes()}
    written = {"wasm-ai-gateway.tar": image.image(files, "wasm-ai-gateway", version, labels),
               "sbom.cdx.json": bill}
    for path in sorted((ROOT / "dist").glob("*.wasm")):
        written[path.name] = path.read_bytes()
    for name, content in written.items():
        (OUT / name).write_bytes(content)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(written.items())]
    (OUT / "SHA256SUMS").write_text("".join(sums))
    for name, content in written.items():
        print(f"target/oci/{name:28} {len(content) / 1000:7.0f} KB")
    print("target/oci/SHA256SUMS")


main()
