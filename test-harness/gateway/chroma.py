"""Real Chroma on a free port."""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path

from . import config
from .stack import answers, start, stop, wait_for

# What `chroma run` does; the command itself wants the packages of the client too.
RUN = "import sys, chromadb_rust_bindings as chroma; chroma.cli(['chroma', 'run', *sys.argv[1:]])"
BASE = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class Chroma:
    """Chroma with its data in a folder."""

    def __init__(self, directory=None):
        self.directory = Path(directory or tempfile.mkdtemp(prefix="chroma-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = config.free_ports(1)[0]
        self.process = None

    def start(self):
        """Starts it and waits until it answers."""
        log = self.directory / "chroma.log"
        command = [sys.executable, "-c", RUN, "--host", "127.0.0.1", "--port", str(self.port),
                   "--path", str(self.directory / "data")]
        self.process = start(command, log)
        url = f"http://127.0.0.1:{self.port}/api/v2/heartbeat"
        wait_for(lambda: answers(url), self.process, log, "Chroma")
        return self

    def stop(self):
        """Stops it; what it has stays."""
        if self.process is not None:
            stop(self.process.pid, self.process)
        self.process = None

    def asked(self, path, body=None):
        """What its API answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{BASE}{path}", data,
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def points(self, collection="ai_cache"):
        """What it knows of the vectors of a collection."""
        found = [item for item in self.asked("") if item["name"] == collection]
        return self.asked(f"/{found[0]['id']}/get", {"include": ["metadatas"]})["metadatas"] if found else []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
