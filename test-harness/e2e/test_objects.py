"""Files, batches and stored answers belong to the consumer, provider and key that made them."""

import json

import anthropic
import openai
import pytest

from gateway.stack import CLIENT_KEY, INTERN_KEY, KEYS


@pytest.fixture(scope="module")
def gateway(configured):
    # What is in a file cannot be inspected.
    return configured(lambda text: text.replace('"pii": {', '"uninspected": "allow", "pii": {', 1))


def client(gateway, key):
    return openai.OpenAI(base_url=gateway.stack.base_url, api_key=key, max_retries=0, timeout=60)


def test_a_file_and_its_batch_are_their_makers_alone(gateway):
    anna, bert = client(gateway, CLIENT_KEY), client(gateway, INTERN_KEY)
    file = anna.files.create(file=("in.jsonl", b"{}"), purpose="batch")
    assert file.id.startswith("file-") and "-gw-" in file.id
    assert anna.files.retrieve(file.id).id == file.id
    assert json.loads(anna.files.content(file.id).read()) == {"custom_id": "request-1"}
    batch = anna.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions",
                                completion_window="24h")
    assert batch.input_file_id == file.id
    assert anna.batches.retrieve(batch.id).status == "completed"
    assert anna.files.content(batch.output_file_id).response.status_code == 200
    for stolen in (lambda: bert.files.retrieve(file.id), lambda: bert.files.delete(file.id),
                   lambda: bert.batches.cancel(batch.id),
                   lambda: bert.batches.create(input_file_id=file.id, completion_window="24h",
                                               endpoint="/v1/chat/completions")):
        with pytest.raises(openai.NotFoundError):
            stolen()
    with pytest.raises(openai.PermissionDeniedError):
        anna.files.list()
    paths = [request["path"] for request in gateway.received("openai")]
    assert paths and not any("-gw-" in path for path in paths)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_answer_is_gone_on_with_by_its_maker(gateway, stream):
    anna, bert = client(gateway, CLIENT_KEY), client(gateway, INTERN_KEY)
    if stream:
        with anna.responses.stream(model="o4-mini", input="hello") as events:
            first = events.get_final_response()
    else:
        first = anna.responses.create(model="o4-mini", input="hello")
    assert first.id.startswith("resp_") and "-gw-" in first.id
    # The stand-in keeps nothing and would refuse the name.
    anna.responses.create(model="o4-mini", input="and?", previous_response_id=first.id,
                          extra_headers={"x-mock-llm": json.dumps({"lenient": True})})
    sent = gateway.received("openai")[-1]["body"]["previous_response_id"]
    assert first.id.startswith(sent) and sent != first.id
    with pytest.raises(openai.NotFoundError):
        bert.responses.create(model="gpt-4o", input="and?", max_output_tokens=99, previous_response_id=first.id)
    # Nobody else has it; the question alone would be another question.
    with pytest.raises(openai.BadRequestError) as refused:
        anna.responses.create(model="claude-haiku-4-5", input="x", previous_response_id=first.id)
    assert refused.value.param == "previous_response_id"


def test_the_results_of_anthropics_batches_come_through_the_gateway(gateway):
    claude = anthropic.Anthropic(base_url=gateway.stack.base_url.removesuffix("/v1"),
                                 api_key=CLIENT_KEY, max_retries=0)
    params = {"model": "claude-haiku-4-5", "max_tokens": 5,
              "messages": [{"role": "user", "content": "hi"}]}
    batch = claude.messages.batches.create(
        requests=[{"custom_id": "request-1", "params": params}])
    assert batch.results_url == f"/v1/messages/batches/{batch.id}/results"
    results = list(claude.messages.batches.results(batch.id))
    assert results[0].custom_id == "request-1"
    assert dict(gateway.received("anthropic")[-1]["headers"])["x-api-key"] == KEYS["ANTHROPIC_API_KEY"]
