"""The providers' own clients, unmodified, behind one small interface, so that each test runs with all."""

import asyncio
import base64
import json
from dataclasses import dataclass, field

import anthropic
import httpx
import openai
from google import genai
from google.genai import errors as gemini_errors
from google.genai import types as gemini
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from gateway.stack import CLIENT_KEY

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\nnot really").decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
    "required": ["city"],
}


# The key of every client; never one of a provider's.
KEY = CLIENT_KEY
# One for all clients: to make one takes longer than most tests.
HTTP = httpx.Client(timeout=60)


class Weather(BaseModel):
    """What a structured answer is read into."""

    city: str
    degrees: int


@dataclass
class Call:
    """A function that the model calls."""

    name: str
    arguments: dict
    id: str = ""


@dataclass
class Answer:
    """What a client made of an answer."""

    text: str = ""
    calls: list = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thoughts: str = ""
    native: object = None


class Sdk:
    """A client of the gateway. `script` tells the stand-in what to do."""

    name = ""
    # The class of error of each status.
    errors = {}
    # What a stream that broke off raises.
    broken = ()

    def __init__(self, gateway, script=None):
        self.root = gateway.stack.base_url.removesuffix("/v1")
        self.headers = {"x-mock-llm": json.dumps(script)} if script else {}


class OpenAiChat(Sdk):
    """`openai`, Chat Completions."""

    name = "openai-chat"
    errors = {400: openai.BadRequestError, 401: openai.AuthenticationError,
              404: openai.NotFoundError, 429: openai.RateLimitError,
              500: openai.InternalServerError}
    broken = (openai.APIError,)

    def __init__(self, gateway, script=None):
        super().__init__(gateway, script)
        self.client = openai.OpenAI(base_url=f"{self.root}/v1", api_key=KEY, timeout=60,
                                    max_retries=0, default_headers=self.headers,
                                    http_client=HTTP)

    def body(self, model, text, tools=False, picture=False, history=()):
        content = text if not picture else [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]
        body = {"model": model, "max_completion_tokens": 2000, "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]}
        for answer, results in history:
            # What the client itself added in reading the answer is not sent back.
            body["messages"].append(answer.native.model_dump(
                exclude_none=True, exclude={"parsed": True, "tool_calls": {
                    "__all__": {"index": True, "function": {"parsed_arguments"}}}}))
            body["messages"] += [{"role": "tool", "tool_call_id": call.id, "content": result}
                                 for call, result in zip(answer.calls, results)]
        if tools:
            body["tools"] = [{"type": "function", "function": {
                "name": name, "description": f"The {name} of a city", "parameters": SCHEMA}}
                for name in ("weather", "clock")]
        return body

    def ask(self, model, text, **options):
        return self.read(self.client.chat.completions.create(**self.body(model, text, **options)))

    def read(self, completion):
        message = completion.choices[0].message
        calls = [Call(c.function.name, json.loads(c.function.arguments), c.id)
                 for c in message.tool_calls or []]
        usage = completion.usage
        return Answer(message.content or "", calls, usage.prompt_tokens, usage.completion_tokens,
                      (message.model_extra or {}).get("reasoning_content", ""), message)

    def stream(self, model, text, **options):
        with self.client.chat.completions.stream(
                **self.body(model, text, **options),
                stream_options={"include_usage": True}) as stream:
            for _ in stream:
                pass
            return self.read(stream.get_final_completion())

    def parse(self, model, text):
        completion = self.client.chat.completions.parse(
            **self.body(model, text), response_format=Weather)
        return completion.choices[0].message.parsed


class OpenAiChatAsync(OpenAiChat):
    """`openai`, Chat Completions, asynchronous."""

    name = "openai-chat-async"

    def ask(self, model, text, **options):
        async def run():
            async with self.asynchronous() as client:
                return await client.chat.completions.create(**self.body(model, text, **options))
        return self.read(asyncio.run(run()))

    def asynchronous(self):
        return openai.AsyncOpenAI(base_url=f"{self.root}/v1", api_key=KEY, timeout=60,
                                  max_retries=0, default_headers=self.headers)

    def stream(self, model, text, **options):
        async def run():
            async with self.asynchronous() as client, client.chat.completions.stream(
                    **self.body(model, text, **options),
                    stream_options={"include_usage": True}) as stream:
                async for _ in stream:
                    pass
                return await stream.get_final_completion()
        return self.read(asyncio.run(run()))


class OpenAiResponses(OpenAiChat):
    """`openai`, Responses."""

    name = "openai-responses"

    def body(self, model, text, tools=False, picture=False, history=()):
        content = [{"type": "input_text", "text": text}]
        if picture:
            content.append({"type": "input_image", "detail": "auto",
                            "image_url": f"data:image/png;base64,{PICTURE}"})
        body = {"model": model, "instructions": "Be brief.", "store": False,
                "max_output_tokens": 2000, "input": [{"role": "user", "content": content}]}
        for answer, results in history:
            body["input"] += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
                              for item in answer.native]
            body["input"] += [{"type": "function_call_output", "call_id": call.id, "output": result}
                              for call, result in zip(answer.calls, results)]
        if tools:
            body["tools"] = [{"type": "function", "name": name, "strict": False,
                              "description": f"The {name} of a city", "parameters": SCHEMA}
                             for name in ("weather", "clock")]
        return body

    def ask(self, model, text, **options):
        return self.read(self.client.responses.create(**self.body(model, text, **options)))

    def read(self, response):
        assert response.status == "completed", response.error or response.incomplete_details
        calls = [Call(item.name, json.loads(item.arguments), item.call_id)
                 for item in response.output if item.type == "function_call"]
        thoughts = "".join(part.text for item in response.output if item.type == "reasoning"
                           for part in item.summary)
        usage = response.usage
        return Answer(response.output_text, calls, usage.input_tokens, usage.output_tokens,
                      thoughts, response.output)

    def stream(self, model, text, **options):
        with self.client.responses.stream(**self.body(model, text, **options)) as stream:
            for _ in stream:
                pass
            return self.read(stream.get_final_response())

    def parse(self, model, text):
        return self.client.responses.parse(
            **self.body(model, text), text_format=Weather).output_parsed


class Anthropic(Sdk):
    """`anthropic`, Messages."""

    name = "anthropic"
    errors = {400: anthropic.BadRequestError, 401: anthropic.AuthenticationError,
              404: anthropic.NotFoundError, 429: anthropic.RateLimitError,
              500: anthropic.InternalServerError}
    broken = (anthropic.APIError,)

    def __init__(self, gateway, script=None):
        super().__init__(gateway, script)
        self.client = anthropic.Anthropic(base_url=self.root, api_key=KEY, timeout=60,
                                          max_retries=0, default_headers=self.headers)

    def body(self, model, text, tools=False, picture=False, history=()):
        content = [{"type": "text", "text": text}]
        if picture:
            content.append({"type": "image", "source": {
                "type": "base64", "media_type": "image/png", "data": PICTURE}})
        body = {"model": model, "max_tokens": 2000, "system": "Be brief.",
                "messages": [{"role": "user", "content": content}]}
        for answer, results in history:
            body["messages"] += [
                {"role": "assistant", "content": answer.native},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": call.id, "content": result}
                    for call, result in zip(answer.calls, results)]}]
        if tools:
            body["tools"] = [{"name": name, "description": f"The {name} of a city",
                              "input_schema": SCHEMA} for name in ("weather", "clock")]
        return body

    def ask(self, model, text, **options):
        return self.read(self.client.messages.create(**self.body(model, text, **options)))

    def read(self, message):
        texts = "".join(block.text for block in message.content if block.type == "text")
        thoughts = "".join(b.thinking for b in message.content if b.type == "thinking")
        calls = [Call(block.name, block.input, block.id)
                 for block in message.content if block.type == "tool_use"]
        usage = message.usage
        return Answer(texts, calls, usage.input_tokens, usage.output_tokens, thoughts,
                      message.content)

    def stream(self, model, text, **options):
        with self.client.messages.stream(**self.body(model, text, **options)) as stream:
            return self.read(stream.get_final_message())

    def parse(self, model, text):
        return self.client.messages.parse(
            **self.body(model, text), output_format=Weather).parsed_output


class Gemini(Sdk):
    """`google-genai`."""

    name = "google-genai"
    errors = {400: gemini_errors.ClientError, 401: gemini_errors.ClientError,
              404: gemini_errors.ClientError, 429: gemini_errors.ClientError,
              500: gemini_errors.ServerError}
    broken = (gemini_errors.APIError, gemini_errors.UnknownApiResponseError)

    def __init__(self, gateway, script=None):
        super().__init__(gateway, script)
        self.client = genai.Client(api_key=KEY, http_options=gemini.HttpOptions(
            base_url=self.root, headers=self.headers, timeout=60_000, httpx_client=HTTP))

    def body(self, model, text, tools=False, picture=False, history=()):
        parts = [gemini.Part(text=text)]
        if picture:
            parts.append(gemini.Part.from_bytes(data=base64.b64decode(PICTURE),
                                                mime_type="image/png"))
        contents = [gemini.Content(role="user", parts=parts)]
        for answer, results in history:
            contents.append(answer.native)
            contents.append(gemini.Content(role="user", parts=[
                gemini.Part(function_response=gemini.FunctionResponse(
                    id=call.id or None, name=call.name, response={"result": result}))
                for call, result in zip(answer.calls, results)]))
        declared = [gemini.Tool(function_declarations=[
            gemini.FunctionDeclaration(name=name, description=f"The {name} of a city",
                                       parameters_json_schema=SCHEMA)
            for name in ("weather", "clock")])] if tools else None
        config = gemini.GenerateContentConfig(system_instruction="Be brief.", tools=declared,
                                              max_output_tokens=2000)
        return {"model": model, "contents": contents, "config": config}

    def ask(self, model, text, **options):
        answer = self.client.models.generate_content(**self.body(model, text, **options))
        return self.read([answer])

    def read(self, answers):
        parts = [part for answer in answers for candidate in answer.candidates or []
                 for part in (candidate.content.parts if candidate.content else None) or []]
        texts = "".join(p.text for p in parts if p.text and not p.thought)
        thoughts = "".join(p.text for p in parts if p.text and p.thought)
        calls = [Call(p.function_call.name, p.function_call.args or {}, p.function_call.id or "")
                 for p in parts if p.function_call]
        usage = answers[-1].usage_metadata
        assert answers[-1].candidates[0].finish_reason is not None
        return Answer(texts, calls, usage.prompt_token_count, usage.candidates_token_count,
                      thoughts, gemini.Content(role="model", parts=parts))

    def stream(self, model, text, **options):
        return self.read(list(
            self.client.models.generate_content_stream(**self.body(model, text, **options))))

    def parse(self, model, text):
        body = self.body(model, text)
        body["config"].response_mime_type = "application/json"
        body["config"].response_schema = Weather
        return self.client.models.generate_content(**body).parsed


class LangChain(OpenAiChat):
    """LangChain over `openai`."""

    name = "langchain"

    def chat(self, model, tools=False):
        chat = ChatOpenAI(model=model, base_url=f"{self.root}/v1", api_key=SecretStr(KEY),
                          max_retries=0, timeout=60, default_headers=self.headers,
                          http_client=HTTP,
                          stream_usage=True, use_responses_api=False)
        return chat.bind_tools([{"name": name, "description": f"The {name} of a city",
                                 "parameters": SCHEMA} for name in ("weather", "clock")]
                               ) if tools else chat

    def messages(self, text, picture=False, history=()):
        content = text if not picture else [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
        for answer, results in history:
            messages.append(answer.native)
            messages += [{"role": "tool", "tool_call_id": call.id, "content": result}
                         for call, result in zip(answer.calls, results)]
        return messages

    def ask(self, model, text, tools=False, **options):
        return self.read(self.chat(model, tools).invoke(self.messages(text, **options)))

    def read(self, message):
        calls = [Call(call["name"], call["args"], call["id"]) for call in message.tool_calls]
        usage = message.usage_metadata
        return Answer(message.text, calls, usage["input_tokens"], usage["output_tokens"], "",
                      message)

    def stream(self, model, text, tools=False, **options):
        whole = None
        for chunk in self.chat(model, tools).stream(self.messages(text, **options)):
            whole = chunk if whole is None else whole + chunk
        return self.read(whole)

    def parse(self, model, text):
        chat = self.chat(model).with_structured_output(Weather, method="json_schema")
        return chat.invoke(self.messages(text))


SDKS = [OpenAiChat, OpenAiChatAsync, OpenAiResponses, Anthropic, Gemini, LangChain]
