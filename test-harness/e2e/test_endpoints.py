"""What the providers' own clients can do besides chats: completions, vectors, counts, lists of models."""

import anthropic
import pytest
from google import genai
from google.genai import types as gemini

from gateway.stack import CLIENT_KEY
from test_sdks import MODELS

every_model = pytest.mark.parametrize("model", MODELS)


# The client must live until all is read.
def google(gateway):
    root = gateway.stack.base_url.removesuffix("/v1")
    return genai.Client(api_key=CLIENT_KEY, http_options=gemini.HttpOptions(base_url=root))


def claude(gateway):
    root = gateway.stack.base_url.removesuffix("/v1")
    return anthropic.Anthropic(base_url=root, api_key=CLIENT_KEY, max_retries=0, timeout=60)


@every_model
def test_completions(gateway, model):
    client = gateway.client({"text": "Once upon a time.", "finish_reason": "length"})
    ask = {"model": model, "prompt": "Tell me a story", "max_tokens": 1600}
    whole = client.completions.create(**ask)
    assert (whole.object, whole.choices[0].text) == ("text_completion", "Once upon a time.")
    assert whole.usage.prompt_tokens > 0 and whole.usage.completion_tokens > 0
    chunks = list(client.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "Once upon a time."
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert [reason for reason in reasons if reason] == [whole.choices[0].finish_reason]
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    # Who has not asked for the token counts gets none, though the gateway does.
    chunks = list(client.completions.create(**ask, stream=True))
    assert all(chunk.choices and not chunk.usage for chunk in chunks)


def test_vectors(gateway):
    texts = ["one", "zwei 😀"]
    ask = {"model": "text-embedding-3-small", "input": texts}
    vectors = gateway.client().embeddings.create(**ask)
    assert [vector.index for vector in vectors.data] == [0, 1] and vectors.usage.prompt_tokens > 0
    numbers = gateway.client().embeddings.create(**ask, encoding_format="float")
    for one, other in zip(vectors.data, numbers.data):
        assert one.embedding == pytest.approx(other.embedding)
    # A client of Google's gets the vectors of OpenAI's model.
    client = google(gateway)
    googles = client.models.embed_content(model="text-embedding-3-small", contents=texts)
    for one, other in zip(googles.embeddings, numbers.data, strict=True):
        assert one.values == pytest.approx(other.embedding)


@every_model
def test_counts(gateway, model):
    """Counted by the provider or, if it cannot, by the gateway; a longer prompt has more."""
    anthropics, client = claude(gateway), google(gateway)

    def claudes(text):
        return anthropics.messages.count_tokens(
            model=model, messages=[{"role": "user", "content": text}]).input_tokens

    def googles(text):
        return client.models.count_tokens(model=model, contents=text).total_tokens

    def openais(text):
        return gateway.client().responses.input_tokens.count(model=model, input=text).input_tokens

    for count in claudes, googles, openais:
        assert 0 < count("one two") < count("one two three four five six seven eight nine ten")


def test_models_are_listed_in_each_clients_form(gateway):
    ids = {model.id for model in gateway.client().models.list()}
    assert ids and {model.id for model in claude(gateway).models.list()} == ids
    client = google(gateway)
    names = {model.name.removeprefix("models/") for model in client.models.list()}
    assert names == ids
