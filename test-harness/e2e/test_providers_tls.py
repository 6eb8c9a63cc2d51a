"""envoy-examples/providers.yaml as it is shipped but for where names lead: TLS, names of servers, the check of them."""

import sys

import pytest

from conftest import Gateway
from gateway import certificates
from gateway.config import PROVIDERS, ROOT, free_ports
from gateway.stack import Stack, start, stop, wait_for

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
HOSTS = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}


class Doors:
    """What speaks TLS before the stand-ins, each with a certificate for a name."""

    def __init__(self, stack, directory):
        self.stack, self.directory = stack, directory
        self.ports = dict(zip(HOSTS, free_ports(len(HOSTS))))
        self.open = {}

    def start(self, provider, name, folder):
        """Opens one; `folder` has the authority that signs."""
        certificates.make(folder, [name])
        log = self.directory / f"{provider}-{len(self.open)}.log"
        command = [sys.executable, "-m", "gateway.tls", str(self.ports[provider]),
                   str(self.stack.ports[PROVIDERS[provider]]), str(folder)]
        self.open[provider] = start(command, log, cwd=ROOT / "test-harness")
        wait_for(lambda: b"ready" in log.read_bytes(), self.open[provider], log, "the stand-in with TLS")

    def stop(self, provider):
        """Closes one."""
        process = self.open[provider]
        stop(process.pid, process)


@pytest.fixture
def shipped(tmp_path):
    """Starts it; both providers are there by TLS, with certificates for their names by one authority."""

    def edit(text):
        assert text.count(AUTHORITIES) == 2
        text = text.replace(AUTHORITIES, str(tmp_path / "authorities.pem"))
        for provider, host in HOSTS.items():
            old = f"address: {host}, port_value: 443"
            # One cluster of its own, and one that both share.
            assert text.count(old) == 2
            text = text.replace(old, f"address: 127.0.0.1, port_value: {doors.ports[provider]}")
        return text

    stack = Stack("providers.yaml", directory=tmp_path, edit=edit, workers=1)
    doors = Doors(stack, tmp_path)
    try:
        for provider, host in HOSTS.items():
            doors.start(provider, host, tmp_path / provider)
        (tmp_path / "authorities.pem").write_text(
            "".join((tmp_path / provider / "ca.pem").read_text() for provider in HOSTS))
        yield Gateway(stack.start()), doors
    finally:
        stack.stop()
        for provider in doors.open:
            doors.stop(provider)


def test_providers_are_asked_by_tls_and_nobody_else_is(shipped, ask, tmp_path):
    gateway, doors = shipped
    for model, provider in (("gpt-5", "openai"), ("fast", "anthropic"), ("best", "openai")):
        answer = gateway.post(ask(model))
        assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, provider), answer.text
    assert dict(gateway.received("anthropic")[0]["headers"])["host"] == "api.anthropic.com"
    # The cluster of both: each attempt has the TLS settings of its own provider.
    answer = gateway.post(ask("best"), {"on": {"openai": {"status": 503}}})
    assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "anthropic"), answer.text

    # Somebody with a certificate of a known authority for another name, then one with the right name and an authority
    # that nobody knows, take the place of Anthropic's.
    for name, folder in (("api.openai.com", tmp_path / "openai"),
                         ("api.anthropic.com", tmp_path / "unknown")):
        gateway.reset()
        doors.stop("anthropic")
        doors.start("anthropic", name, folder)
        answer = gateway.post(ask("fast"))
        assert answer.status_code == 503 and gateway.received("anthropic") == [], answer.text
        answer = gateway.post(ask("best"))
        assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "openai"), answer.text
