"""One running gateway per example file; the tests of a module share it."""

import json
import os

import httpx
import openai
import pytest

from gateway.reload import Reloading
from gateway.stack import CLIENT_KEY, KEYS, Stack
from not_on_apisix import cannot

# The gateway that the tests of the metrics look at.
pytest_plugins = ["observed"]


class Gateway:
    """A running gateway as a test sees it."""

    def __init__(self, stack):
        self.stack = stack
        self.http = httpx.Client(base_url=stack.base_url, timeout=60,
                                 headers={"authorization": f"Bearer {CLIENT_KEY}"})
        # To the stand-ins; making a client takes longer than a request.
        self.control = httpx.Client(timeout=60)

    def client(self, script=None, **options):
        """OpenAI's own client; `script` tells the stand-ins what to do."""
        headers = {"x-mock-llm": json.dumps(script)} if script else {}
        return openai.OpenAI(base_url=self.stack.base_url, api_key=CLIENT_KEY, timeout=60,
                             max_retries=0, default_headers=headers, **options)

    def post(self, body, script=None, path="/chat/completions", **options):
        """A raw request."""
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        if script:
            headers["x-mock-llm"] = json.dumps(script)
        content = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.http.post(path, content=content, headers=headers, **options)

    def received(self, provider=None):
        """The requests that a stand-in got in this test, or all in the order of their arrival."""
        url = f"{self.stack.mock_url(provider or 'openai')}/_mock/requests"
        return self.control.get(url, params={"listener": provider} if provider else {}).json()

    def reset(self):
        """Makes the stand-ins forget."""
        # They are one process, so that one of them tells all.
        self.control.post(f"{self.stack.mock_url('openai')}/_mock/reset").raise_for_status()


# Those in real Envoy, and those on the emulated APISIX; `make test-apisix` gives the latter alone.
EXAMPLES = os.environ.get(
    "EXAMPLES", "full-chain.yaml bundle.yaml apisix/full-chain.yaml apisix/bundle.yaml").split()


# A wrapper, because xdist reads the groups before any other hook of ours could write them.
@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    """Leaves out, with the reason, what APISIX cannot do; keeps together what shares a gateway."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        values = [str(value) for value in parameters.params.values()] if parameters else []
        example = next((value for value in values if value.startswith("apisix/")), None)
        reason = example and cannot(example, f"{item.path.name}::{item.name}")
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        item.add_marker(pytest.mark.xdist_group(together(item, values)))
    result = yield
    grouped = not getattr(config.option, "loadgroup", False) or all("@" in i.nodeid for i in items)
    assert grouped, "this xdist and this pytest do not group tests: every test would start a gateway"
    return result


def together(item, values):
    """The name of the tests that one process should run because they share a gateway."""
    if "observed" in item.fixturenames:
        return "observed"
    # What is about APISIX's examples shares the emulator, with the modules that it has compiled.
    stem = "apisix" if item.path.stem.startswith("test_apisix_") else item.path.stem
    return next((value for value in values if value in EXAMPLES), stem)


def separate(example):
    """Whether an example has the plugins one by one, each with its own configuration."""
    return example.endswith("full-chain.yaml")


@pytest.fixture(scope="session", params=EXAMPLES)
def example(request):
    """The separate plugins, then the bundle."""
    return request.param


def checked(log):
    """What no log may have in it."""
    for secret in (CLIENT_KEY, *KEYS.values(), "secret-prompt"):
        assert secret not in log, "a secret or a prompt is in the proxy's log"
    assert "panicked" not in log


@pytest.fixture(scope="session")
def running(example, tmp_path_factory):
    """The example as it is shipped."""
    with Stack(example, directory=tmp_path_factory.mktemp("gateway")) as stack:
        yield Gateway(stack)
        checked(stack.log)
        assert "failed to load" not in stack.log


@pytest.fixture
def gateway(running):
    """A running gateway whose stand-ins have seen nothing yet."""
    running.reset()
    return running


@pytest.fixture(scope="session")
def reloading(example, tmp_path_factory):
    """A gateway that takes one configuration after another."""
    kind = Stack if example.startswith("apisix/") else Reloading
    directory = tmp_path_factory.mktemp("reloading")
    with kind(example, directory=directory, env={"UPSTREAM_KEY": "sk-real"}) as stack:
        yield stack
        checked(stack.log)


@pytest.fixture(scope="session")
def configured(reloading):
    """The example changed by `edit`, in a gateway that has seen nothing yet; until the next call."""

    def configure(edit=None, **options):
        reloading.reload(edit, **options)
        gateway = Gateway(reloading)
        gateway.reset()
        return gateway

    return configure


@pytest.fixture
def fresh(configured):
    """A gateway that has seen nothing yet, where what it learns would spoil the next test."""
    return configured()


@pytest.fixture
def with_routes(configured):
    """Starts a gateway with these routes; those of its models stay."""

    def start(routes, more="", edit=lambda example: example):
        text = f'"routes": {json.dumps(routes)}, {more} "models": [\n'
        return configured(lambda example: edit(example.replace('"models": [\n', text)))

    return start


@pytest.fixture
def ask():
    """The body of a request."""

    def build(model, text="secret-prompt: hello", **fields):
        return {"model": model, "messages": [{"role": "user", "content": text}], **fields}

    return build
