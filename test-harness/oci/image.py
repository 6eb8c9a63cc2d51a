"""A container image FROM scratch as a tarball in OCI's layout, which `skopeo copy oci-archive:...`,
`docker load` and `ctr image import` read. The same modules give the same bytes."""

import gzip
import hashlib
import io
import json
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def encoded(value):
    """JSON, always with the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def tar(files):
    """A tarball of regular files (bytes) and of symbolic links (text)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            # No time, no owner: what is the same has the same digest.
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            if isinstance(content, str):
                entry.type, entry.linkname, content = tarfile.SYMTYPE, content, b""
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def image(files, name, version, labels):
    """The tarball of an image whose one layer has these files."""
    blobs = {}

    def blob(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    unpacked = tar(files)
    layer = blob(gzip.compress(unpacked, 9, mtime=0), LAYER)
    diff = f"sha256:{hashlib.sha256(unpacked).hexdigest()}"
    # Modules run anywhere; hosts pull what is for their own machine, and take this one on both.
    config = blob(encoded({"architecture": "amd64", "os": "linux", "config": {"Labels": labels},
                           "rootfs": {"type": "layers", "diff_ids": [diff]}}), CONFIG)
    manifest = blob(encoded({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                             "layers": [layer], "annotations": labels}), MANIFEST)
    reference = {"org.opencontainers.image.ref.name": version}
    index = {"schemaVersion": 2, "mediaType": INDEX,
             "manifests": [{**manifest, "annotations": reference}]}
    # For `docker load`.
    path = "blobs/sha256/{}".format
    docker = [{"Config": path(config["digest"][7:]), "RepoTags": [f"{name}:{version}"],
               "Layers": [path(layer["digest"][7:])]}]
    whole = {"oci-layout": encoded({"imageLayoutVersion": "1.0.0"}), "index.json": encoded(index),
             "manifest.json": encoded(docker), **blobs}
    return tar(whole)
