"""`python -m gateway up|down|demo`: what `make up`, `make down` and `make demo` run."""

import sys

from . import demo
from .stack import DidNotStart
from .up import down, up


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
