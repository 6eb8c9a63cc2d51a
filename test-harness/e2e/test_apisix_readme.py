"""The way to a first answer in apisix-examples/README.md, walked by its own commands. Those of the other language
are the same (test_docs.py)."""

import json
import os
import re
import subprocess

import pytest
import yaml

from gateway.apisix import EMULATED, EXAMPLES, with_ports
from gateway.config import ROOT, free_ports
from gateway.stack import DidNotStart, start, stop, wait_for

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.S | re.M)


def blocks(page, language):
    """The code of a page."""
    return ["\n".join(line.removeprefix(indent) for line in code.splitlines())
            for indent, kind, code in FENCE.findall((EXAMPLES / page).read_text()) if kind == language]


def shell(command, **env):
    """What a command prints."""
    done = subprocess.run(["bash", "-euc", command], cwd=ROOT, env={**os.environ, **env},
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The first steps: the stand-ins run, the files are where APISIX looks for them, it has started."""
    make, copy, begin, ask, *_ = blocks("README.md", "sh")
    folder = tmp_path_factory.mktemp("apisix")
    (folder / "conf").mkdir()
    listener, openai, anthropic = free_ports(3)
    ports = {9080: listener, 9001: openai, 9002: anthropic}
    mocks = re.search(r"^(target/debug/mock-llm .*) &$", make, re.M)[1]
    log = folder / "mock.log"
    process = start(with_ports(mocks, ports).split(), log, cwd=ROOT)
    address = f"127.0.0.1:{listener}"
    try:
        wait_for(lambda: b"listeners" in log.read_bytes(), process, log, "mock-llm")
        shell(copy, APISIX=str(folder))
        config = yaml.safe_load((folder / "conf/config.yaml").read_text())
        # The modules are where they have been put.
        target = re.search(r"install -D -t (\S+) dist/\*\.wasm", make)[1]
        for plugin in config["wasm"]["plugins"]:
            assert plugin["file"].startswith(f"{target}/")
            assert (ROOT / "dist" / plugin["file"].removeprefix(f"{target}/")).exists()
        *variables, program, verb = begin.split()
        assert (program, verb) == ("apisix", "start")
        routes = (folder / "conf/apisix.yaml").read_text()
        if not routes.rstrip().endswith("#END"):
            raise DidNotStart("APISIX ignores a file without its end mark")
        EMULATED.ask({
            "config": config, "routes": yaml.safe_load(with_ports(routes, ports)), "listen": address,
            "workers": 1, "env": dict(variable.split("=", 1) for variable in variables),
            "log": str(folder / "gateway.log"), "connect_to": {},
        })
        try:
            yield with_ports(ask, ports), with_ports((EXAMPLES / "README.md").read_text(), ports)
        finally:
            EMULATED.ask({"stop": address})
    finally:
        stop(process.pid, process)


def test_the_first_answer_is_translated_masked_streamed_and_limited(walked):
    ask, page = walked
    events = [line.removeprefix("data: ") for line in shell(ask).splitlines() if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert len(chunks) > 2 and {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks
                   for choice in chunk["choices"])
    assert "anna@example.com" in said and "[EMAIL_1]" not in said
    # What the stand-in got, by the page's own command.
    got, = json.loads(shell(re.search(r"`(curl '[^`]*_mock/requests[^`]*)`", page)[1]))
    assert got["path"] == "/v1/messages"
    assert "[EMAIL_1]" in got["body_text"] and "anna" not in got["body_text"]
    status = ask.replace("curl -N", "curl -s -o /dev/null -w '%{http_code} %header{retry-after}'")
    assert shell(status.replace("sk-aigw-demo-1", "sk-aigw-demo-2")).split() == ["401"]
    # As long as Anthropic's answers are by default: 4096 tokens.
    dear = status + " -H 'x-mock-llm: {\"tokens\": 5000}'"
    for _ in range(8):
        code, *after = shell(dear).split()
        if code == "429":
            break
    assert code == "429" and int(after[0]) > 0


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_its_other_commands_and_parts_are_such(page):
    # The script through the Admin API is named with a file that there is; what it does is tested elsewhere.
    script, name, *rest = re.search(r"(apisix-examples/admin-api\.sh) (\S+)(.*)",
                                    "\n".join(blocks(page, "sh"))).groups()
    assert os.access(ROOT / script, os.X_OK) and (EXAMPLES / name).exists() and rest == [""]
    # The Lua plugin is where the page has APISIX look for it, and all plugins of its route are named.
    part = yaml.safe_load(blocks(page, "yaml")[-1])
    folder = part["apisix"]["extra_lua_path"].removesuffix("?.lua")
    assert folder == "/opt/wasm-ai-gateway/lua/"
    assert (EXAMPLES / "lua/apisix/plugins/ai-body-bridge.lua").exists()
    route, = yaml.safe_load((EXAMPLES / "lua-bridge.yaml").read_text())["routes"]
    assert {name for name in route["plugins"] if not name.startswith("wasm-")} <= set(part["plugins"])
