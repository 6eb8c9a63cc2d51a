"""Processes: Envoy and the stand-ins, started together and always stopped."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import certificates, config, doors

MOCK = config.ROOT / "target" / "debug" / "mock-llm"
# The mode of the cache in an example.
CACHE_ON = re.compile(r'("semantic-cache-client": \{\s+|dist/semantic-cache-client\.wasm[\s\S]{0,400}?'
                      r'value: \|\s+\{\s+|wasm-semantic-cache-client:[\s\S]{0,200}?conf: \|\s+\{\s+)"mode": "enforce"')
KEYS = {
    "OPENAI_API_KEY": "sk-openai-test",
    "ANTHROPIC_API_KEY": "sk-ant-test",
    "GEMINI_API_KEY": "gemini-key-test",
    "AWS_ACCESS_KEY_ID": "AKIDTEST",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-test",
    "COHERE_API_KEY": "cohere-key-test",
    "ONPREM_API_KEY": "onprem-key-test",
    "AI_ADMIN_KEY": "admin-key-test",
    "AI_OBJECT_SECRET": "object-secret-test",
}
# Keys of the examples' consumers `demo` and `intern`; they must never get past the gateway.
CLIENT_KEY = "sk-aigw-demo-1dd2346586293333043183b40f80b27aa1d4cd64bf55439e564d08f493bfbdf4c897dccb"
INTERN_KEY = "sk-aigw-intern-ef5792c428ff445676e2ba324efc7e69d1dacb4293f9e6d1598bd0a51afb48e5cd2ed049"


class DidNotStart(Exception):
    """A process ended before it was ready; its log is the message."""


def find_envoy():
    """Envoy from PATH, else from the venv that setup made."""
    found = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))
    if not found:
        raise SystemExit("envoy is missing: install it, or run `make setup`")
    return found


def start(command, log, **options):
    """Starts a process in a session of its own, so that a signal to this one does not stop it."""
    with open(log, "wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT,
                                start_new_session=True, **options)


def stop(pid, process=None):
    """Ends a process; one that will not end is killed."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        for _ in range(50):
            if process is not None and process.poll() is not None:
                return
            if process is None and not alive(pid):
                return
            time.sleep(0.1)


def alive(pid):
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def wait_for(ready, process, log, what, seconds=60):
    """Waits until `ready()`; a process that ends before that is an error with its last lines."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    lines = Path(log).read_text(errors="replace").splitlines()
    raise DidNotStart(f"{what} did not start:\n" + "\n".join(lines[-15:]))


def answers(url):
    """Whether a GET of it gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def listens(port):
    """Whether somebody listens there on this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Stack:
    """A running gateway. `ports` maps the example's ports to those in use; `second` is the file of a
    second Envoy.

    An example `apisix/...` is one of apisix-examples, in the emulated APISIX; `connect_to` says where
    connections to a `host:port` go there."""

    # More of Envoy's options.
    options = ()

    def __new__(cls, example, *_, **__):
        if cls is Stack and example.startswith("apisix/"):
            from .apisix import ApisixStack
            cls = ApisixStack
        return object.__new__(cls)

    def __init__(self, example, directory=None, ports=None, env=None, edit=None, mock=True,
                 connect_to=None, second=None, workers=2, cache=False):
        self.example = example
        self.second = second
        self.cache = cache
        self.workers = workers
        self.directory = Path(directory or tempfile.mkdtemp(prefix="gateway-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ports = ports or dict(zip(config.PORTS, config.free_ports(len(config.PORTS))))
        self.env = {**os.environ, **KEYS, **(env or {})}
        self.edit = edit
        self.connect_to = connect_to or {}
        self.mock_wanted = mock
        self.processes = {}

    @property
    def base_url(self):
        """What a client of OpenAI's API is given."""
        return f"http://127.0.0.1:{self.ports[config.LISTENER]}/v1"

    @property
    def admin_url(self):
        """Envoy's admin interface."""
        return f"http://127.0.0.1:{self.ports[config.ADMIN]}"

    def mock_url(self, name):
        """A stand-in's address."""
        return f"http://127.0.0.1:{self.ports[config.PROVIDERS[name]]}"

    def host_of(self, provider):
        """The host name that a provider is asked under: that of its `base_url`."""
        return f"api.{provider}.com"

    @property
    def log(self):
        """The proxy's log so far."""
        return (self.directory / "gateway.log").read_text(errors="replace")

    def start(self):
        """Starts everything and waits until it is ready."""
        try:
            if self.mock_wanted:
                self.start_mock()
            self.start_gateway()
        except BaseException:
            self.stop()
            raise
        return self

    def start_mock(self):
        """Starts the stand-ins for the providers."""
        if not MOCK.exists():
            raise SystemExit("mock-llm is not built: run `make mock`")
        listen = [f"--listen={name}=127.0.0.1:{self.ports[port]}"
                  for name, port in config.PROVIDERS.items()]
        log = self.directory / "mock.log"
        process = start([str(MOCK), *listen], log)
        self.processes["mock"] = process
        wait_for(lambda: b"listeners" in log.read_bytes(), process, log, "mock-llm")

    def start_tls(self, folder=config.TLS_FOLDER):
        """Starts what speaks TLS before the stand-ins, with the certificate of a folder; all names and an authority of
        its own unless said."""
        if folder == config.TLS_FOLDER:
            certificates.make(folder, config.HOSTS)
        path, log = self.directory / "tls.json", self.directory / "tls.log"
        path.write_text(doors.bootstrap(self.ports, folder))
        process = start([find_envoy(), "-c", str(path), "--concurrency", "1", "--log-level", "error",
                         "--disable-hot-restart"], log)
        self.processes["tls"] = process
        wait_for(lambda: listens(self.ports[config.SECOND_TLS]), process, log, "the stand-in with TLS")

    def start_redis(self):
        """Starts Redis and Webdis, if the example counts there."""
        text = config.source(self.example).read_text()
        if f"port_value: {config.WEBDIS}" not in text and "counts.example.com" not in text:
            return
        from .redis import Redis
        redis = Redis(self.directory / "redis", http_port=self.ports[config.WEBDIS])
        redis.start()
        self.processes.update(redis=redis.redis, webdis=redis.webdis)

    def start_gateway(self):
        """Starts Envoy, or both."""
        if self.mock_wanted:
            self.start_tls()
        self.start_redis()
        self.start_envoy(self.example, "gateway", config.ADMIN)
        if self.second:
            self.start_envoy(self.second, "second", config.SECOND_ADMIN)

    def configuration(self, example):
        """An example's text with the ports of this gateway, changed as this gateway wants it."""
        text = config.copied(example, self.ports, self.directory)
        if not self.cache:
            # Tests ask the same again and again, and mean the provider.
            text = CACHE_ON.sub(r'\1"mode": "off"', text)
        return self.edit(text) if self.edit else text

    def start_envoy(self, example, name, admin):
        """Starts Envoy, with two workers unless said."""
        path = self.directory / f"{name.replace('gateway', 'envoy')}.yaml"
        path.write_text(self.configuration(example))
        log = self.directory / f"{name}.log"
        command = [find_envoy(), "-c", str(path), "--concurrency", str(self.workers),
                   "--log-level", "warning", "--component-log-level", "wasm:info",
                   "--disable-hot-restart", *self.options]
        process = start(command, log, cwd=config.ROOT, env=self.env)
        self.processes[{"gateway": "envoy"}.get(name, name)] = process
        url = f"http://127.0.0.1:{self.ports[admin]}/ready"
        wait_for(lambda: answers(url), process, log, "Envoy")

    def stop(self):
        """Stops everything."""
        for process in self.processes.values():
            stop(process.pid, process)
        self.processes = {}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
