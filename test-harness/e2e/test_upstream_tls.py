"""TLS to providers, as failover/envoy.yaml is shipped with it and every other example alike: the name that is sent, and
who is believed."""

import pytest

from conftest import Gateway
from gateway import certificates, config
from gateway.stack import Stack, stop


@pytest.fixture
def shipped(tmp_path):
    """Starts it with three kinds of certificates at hand; who signs the third is not known."""
    kinds = {"right": config.HOSTS, "other": ["api.anthropic.com"], "unknown": config.HOSTS}
    for kind, names in kinds.items():
        certificates.make(tmp_path / kind, names)
    known = tmp_path / "known.pem"
    known.write_text("".join((tmp_path / kind / "ca.pem").read_text() for kind in ("right", "other")))

    def edit(text):
        mine = str(config.TLS_FOLDER / "ca.pem")
        # One that all clusters share.
        assert text.count(mine) == 1
        return text.replace(mine, str(known))

    stack = Stack("failover/envoy.yaml", directory=tmp_path, edit=edit, workers=1)

    def present(kind):
        """Providers have these certificates from now on."""
        process = stack.processes["tls"]
        stop(process.pid, process)
        stack.start_tls(tmp_path / kind)

    with stack:
        yield Gateway(stack), present


@pytest.mark.parametrize("model", ["best", "good"])
def test_providers_are_asked_by_tls_and_nobody_else_is(shipped, ask, model):
    gateway, present = shipped

    def answer():
        gateway.reset()
        answer = gateway.post(ask(model))
        seen = [provider for provider in ("openai", "anthropic") if gateway.received(provider)]
        return answer.status_code, answer.headers.get("x-ai-provider"), seen

    present("right")
    assert answer() == (200, "openai", ["openai"])
    assert dict(gateway.received("openai")[0]["headers"])["host"] == "api.openai.com"
    # Somebody with a certificate of a known authority for another name: no request, and the next provider's turn.
    present("other")
    assert answer() == (200, "anthropic", ["anthropic"])
    # The right names, by an authority that nobody knows.
    present("unknown")
    assert answer()[::2] == (503, [])
