"""The emulated Apache APISIX with a file of apisix-examples, in the place of Envoy.

One process holds the compiled modules and as many gateways as are wanted. See
test-harness/src/apisix/mod.rs for what it plays."""

import atexit
import json
import re
import urllib.error
import urllib.request

import yaml

from . import config
from .stack import CACHE_ON, DidNotStart, Stack, start, stop, wait_for

EXAMPLES = config.ROOT / "apisix-examples"
# Those with routes.
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml")
               if path.name not in ("config.yaml", "kubernetes.yaml"))
EMULATOR = config.ROOT / "target" / "debug" / "emulated-apisix"
# The port that config.yaml is written with.
LISTENER = 9080


class Emulator:
    """The process; started when it is first needed."""

    def __init__(self):
        self.process = None
        self.control = None

    def ask(self, body):
        """Starts or stops a gateway."""
        if self.process is None:
            self.start()
        request = urllib.request.Request(self.control, json.dumps(body).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=120):
                pass
        except urllib.error.HTTPError as error:
            raise DidNotStart(f"APISIX did not start:\n{error.read().decode()}") from None
        except OSError:
            raise DidNotStart(f"APISIX is gone:\n{self.log.read_text()[-3000:]}") from None

    def start(self):
        """Starts the process."""
        if not EMULATOR.exists():
            raise SystemExit("the emulated APISIX is not built: run `make test-apisix`")
        address = f"127.0.0.1:{config.free_ports(1)[0]}"
        self.log = config.ROOT / ".run" / "emulated-apisix.log"
        self.log.parent.mkdir(exist_ok=True)
        self.process = start([str(EMULATOR), str(config.ROOT / "dist"), address], self.log)
        atexit.register(self.stop)
        wait_for(lambda: b"ready" in self.log.read_bytes(), self.process, self.log, "APISIX")
        self.control = f"http://{address}/"

    def stop(self):
        """Ends the process."""
        if self.process is not None:
            stop(self.process.pid, self.process)
            self.process = None


EMULATED = Emulator()


def with_ports(text, ports):
    """An example's text with the ports of what runs on this machine replaced, and nothing else."""
    return re.sub(r"127\.0\.0\.1:(\d+)",
                  lambda match: f"127.0.0.1:{ports.get(int(match[1]), int(match[1]))}", text)


class ApisixStack(Stack):
    """A running gateway, as `Stack` is one. Plugins log to `log` there too."""

    @property
    def admin_url(self):
        raise NotImplementedError("there is no Envoy")

    def host_of(self, provider):
        return self.mock_url(provider).removeprefix("http://")

    def start_gateway(self):
        name = self.example.removeprefix("apisix/")
        path = EXAMPLES / name
        text = with_ports(path.read_text(), self.ports)
        if not self.cache:
            text = CACHE_ON.sub(r'\1"mode": "off"', text)
        text = self.edit(text) if self.edit else text
        if not text.rstrip().endswith("#END"):
            raise DidNotStart("APISIX ignores a file without its end mark")
        self.address = f"127.0.0.1:{self.ports[config.LISTENER]}"
        EMULATED.ask({
            "config": yaml.safe_load((path.parent / "config.yaml").read_text()),
            "routes": yaml.safe_load(text),
            "listen": self.address,
            # Each has a cache of its own, and a purge reaches one.
            "workers": 1 if self.cache else 2,
            "env": {key: value for key, value in self.env.items() if isinstance(value, str)},
            "log": str(self.directory / "gateway.log"),
            "connect_to": self.connect_to,
        })
        self.started = True

    def reload(self, edit=None, cache=False, in_place=False):
        """Begins anew with another configuration; the modules stay compiled."""
        ApisixStack.stop(self)
        self.edit, self.cache = edit, cache
        self.start()

    def stop(self):
        if getattr(self, "started", False):
            EMULATED.ask({"stop": self.address})
            self.started = False
        super().stop()
