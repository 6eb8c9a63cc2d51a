"""What `make up` and `make down` run."""

import json
import os
import shlex
import urllib.request
from pathlib import Path

from . import config
from .stack import CLIENT_KEY, Stack, alive, listens, stop

RUN = config.ROOT / ".run"
STATE = RUN / "up.json"
PORTS = {port: port for port in config.PORTS}


def up():
    """Starts the gateway in the background on the example's own ports."""
    if any(runs(each) for each in written()):
        raise SystemExit("the gateway is up already; `make down` stops it")
    example = os.environ.get("EXAMPLE") or "full-chain/envoy.yaml"
    if not config.source(example).is_file():
        names = sorted(path.parent.name for path in config.EXAMPLES.glob("*/envoy.yaml"))
        raise SystemExit(f"EXAMPLE: there is no envoy-examples/{example}; there are {', '.join(names)}")
    # Another Envoy's admin interface would say that it is ready in the place of this one's.
    for port in (config.LISTENER, config.ADMIN):
        if listens(port):
            raise SystemExit(f"port {port} is in use: stop what listens there (another Envoy?), then try again")
    upstream = os.environ.get("UPSTREAM")
    options = {}
    if upstream:
        protocol = os.environ.get("PROTOCOL") or None
        key = os.environ.get("KEY")
        if not key:
            raise SystemExit("KEY is missing: make up UPSTREAM=https://... KEY=...")
        options = {"env": {"UPSTREAM_KEY": key}, "mock": False,
                   "edit": lambda text: config.with_upstream(text, upstream, protocol)}
    stack = Stack(example, directory=RUN / "up", ports=PORTS, cache=True, **options)
    stack.start()
    STATE.write_text(json.dumps({name: [process.pid, since(process.pid)]
                                 for name, process in stack.processes.items()}))
    model = "<a model of the provider>" if upstream else "claude-haiku-4-5"
    print(f"""The gateway is up.
  base URL   {stack.base_url}
  admin      {stack.admin_url}
  log        {stack.directory / 'gateway.log'}

  {first_request(stack.base_url, model)}

`make down` stops it.""")


def down():
    """Stops what `up` has started."""
    if not STATE.exists():
        print("The gateway is not up.")
        return
    for pid, start in written():
        if runs([pid, start]):
            stop(pid)
    STATE.unlink()
    print("The gateway is down.")


def written():
    """The processes that `up` has started: the number of each, and since when it runs."""
    return list(json.loads(STATE.read_text()).values()) if STATE.exists() else []


def since(pid):
    """Since when a process runs, where the system tells. Numbers are given anew, after a restart of the machine from
    the first: a process of the same number is not the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def runs(process):
    """Whether a process that `up` has started is still there."""
    pid, start = process
    return alive(pid) and since(pid) == start


def first_request(base_url, model):
    """A command that gets an answer: with a key if the example demands one, and for a model that it names; `model` if
    it names none."""
    key, named = [], []
    for key in ([], ["-H", f"authorization: Bearer {CLIENT_KEY}"]):
        request = urllib.request.Request(f"{base_url}/models", headers=dict(each.split(": ") for each in key[1:]))
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                named = [each["id"] for each in json.load(response)["data"]]
            break
        except OSError:
            continue
    # What most examples speak of, if this one has it.
    name = next((each for each in ("fast", "assistant", "best") if each in named), (named or [model])[0])
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "Hello"}]})
    headers = "".join(f" {shlex.quote(each) if ' ' in each else each}" for each in key)
    return (f"curl {base_url}/chat/completions -H 'content-type: application/json'{headers} \\\n"
            f"    -d '{body}'")
