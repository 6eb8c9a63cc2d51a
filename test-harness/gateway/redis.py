"""Real Redis, and Webdis in front of it, on free ports."""

import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from . import config
from .stack import start, stop, wait_for

# The same files as in docker-compose.
CONFIG = config.ROOT / "test-harness" / "compose"


def connects(port):
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Redis:
    """Redis with an append-only file, so that a restart loses nothing, and Webdis.

    `port` is Redis's own, `http_port` Webdis's.
    """

    def __init__(self, directory=None, http_port=None):
        for name in ("redis-server", "redis-cli", "webdis"):
            if not shutil.which(name):
                raise SystemExit(f"{name} is missing: run `make setup`, or install it")
        self.directory = Path(directory or tempfile.mkdtemp(prefix="redis-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port, free = config.free_ports(2)
        self.http_port = http_port or free
        self.redis = self.webdis = None

    @property
    def url(self):
        """Webdis."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self):
        """Starts both and waits until they answer."""
        try:
            self.start_redis()
            self.start_webdis()
        except BaseException:
            self.stop()
            raise
        return self

    def start_redis(self):
        """Starts Redis, with what was in it when it was stopped."""
        log = self.directory / "redis.log"
        self.redis = start(["redis-server", str(CONFIG / "redis.conf"), "--port", str(self.port),
                            "--dir", str(self.directory)], log)
        wait_for(lambda: connects(self.port), self.redis, log, "Redis")

    def start_webdis(self):
        """Starts Webdis."""
        path = self.directory / "webdis.json"
        log = self.directory / "webdis.log"
        given = json.loads((CONFIG / "webdis.json").read_text())
        path.write_text(json.dumps({**given, "redis_port": self.port, "http_port": self.http_port,
                                    "logfile": str(self.directory / "webdis-own.log")}))
        self.webdis = start(["webdis", str(path)], log)
        wait_for(lambda: connects(self.http_port), self.webdis, log, "Webdis")

    def stop_redis(self):
        """Stops Redis only; Webdis goes on and answers 503."""
        stop(self.redis.pid, self.redis)
        self.redis = None

    def stop(self):
        """Stops both."""
        for process in (self.webdis, self.redis):
            if process is not None:
                stop(process.pid, process)
        self.redis = self.webdis = None

    def freeze(self, frozen=True):
        """Lets Redis hang, or go on."""
        self.redis.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def command(self, *words):
        """Runs a command in Redis itself; its answer."""
        command = ["redis-cli", "-p", str(self.port), "--json", *map(str, words)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=5).stdout)

    def wait(self, seconds=10):
        """Waits until Redis answers through Webdis again."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/PING", timeout=5) as answer:
                    # It may still answer what somebody else has asked and given up.
                    if json.load(answer).get("PING"):
                        return
            except (OSError, ValueError):
                pass
            time.sleep(0.05)
        raise TimeoutError("Redis does not answer")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
