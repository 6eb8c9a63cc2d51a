"""Configurations: the smallest one runs, a wrong one is refused with the place of the mistake."""

import openai
import pytest

from gateway.stack import DidNotStart, Stack


def test_the_minimal_example(tmp_path, ask):
    with Stack("minimal.yaml", directory=tmp_path) as stack:
        client = openai.OpenAI(base_url=stack.base_url, api_key="x", max_retries=0)
        answer = client.chat.completions.create(**ask("claude-haiku-4-5"))
        assert answer.choices[0].message.content.startswith("Hello from anthropic")
        chunks = list(client.chat.completions.create(**ask("claude-haiku-4-5"), stream=True))
        assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("example", ["full-chain.yaml", "bundle.yaml"])
@pytest.mark.parametrize(("old", "new", "mistake"), [
    ('"protocol": "anthropic"', '"protocol": "antropic"',
     "providers[1].protocol: unknown variant `antropic`, expected `openai` or `anthropic`"),
    ('"api_key": "$env://ANTHROPIC_API_KEY"', '"api_kye": "x"',
     "providers[1].api_kye: unknown field `api_kye`"),
    ('"$env://OPENAI_API_KEY"', '"$env://NOT_THERE"',
     "providers[0].api_key: environment variable NOT_THERE is not set"),
    ('"targets": [{ "provider": "openai" }]', '"targets": [{ "provider": "opnai" }]',
     "models[0].targets[0].provider: no provider `opnai`; there are openai, anthropic"),
    ('"base_url": "https://api.openai.com/v1"', '"base_url": "api.openai.com"',
     "providers[0].base_url: must begin with https:// or http://"),
    ("value: translate", "value: transalte",
     "vm_config.configuration: expected route, translate or inline"),
])
def test_a_mistake_is_refused_with_its_place(tmp_path, example, old, new, mistake):
    with pytest.raises(DidNotStart) as caught:
        Stack(example, directory=tmp_path, mock=False,
              edit=lambda text: text.replace(old, new)).start()
    section = "ai-proxy." if example == "bundle.yaml" else ""
    assert f"configuration refused: {section}{mistake}" in str(caught.value)
