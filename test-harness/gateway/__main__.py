"""`python -m gateway up|down|demo`: what `make up`, `make down` and `make demo` run."""

import json
import os
import sys

from . import config, demo
from .stack import DidNotStart, Stack, alive, stop

RUN = config.ROOT / ".run"
STATE = RUN / "up.json"
PORTS = {port: port for port in config.PORTS}


def up():
    """Starts the gateway in the background on the example's own ports."""
    if STATE.exists() and any(alive(pid) for pid in json.loads(STATE.read_text()).values()):
        raise SystemExit("the gateway is up already; `make down` stops it")
    upstream = os.environ.get("UPSTREAM")
    example = os.environ.get("EXAMPLE", "full-chain/envoy.yaml")
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
    stack.save(STATE)
    model = "<a model of the provider>" if upstream else "claude-haiku-4-5"
    print(f"""The gateway is up.
  base URL   {stack.base_url}
  admin      {stack.admin_url}
  log        {stack.directory / 'gateway.log'}

  curl {stack.base_url}/chat/completions -H 'content-type: application/json' \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

`make down` stops it.""")


def down():
    """Stops what `up` has started."""
    if not STATE.exists():
        print("The gateway is not up.")
        return
    for pid in json.loads(STATE.read_text()).values():
        stop(pid)
    STATE.unlink()
    print("The gateway is down.")


def main():
    """Runs one of the commands; a process that does not start is told in a few lines."""
    commands = {"up": up, "down": down, "demo": demo.demo}
    command = commands.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if command is None:
        raise SystemExit("usage: python -m gateway up|down|demo")
    try:
        command()
    except DidNotStart as error:
        raise SystemExit(str(error)) from None


main()
