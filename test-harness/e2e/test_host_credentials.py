"""Credentials that Envoy brings: its own filters behind ours in the cluster, one key and one signature."""

import copy
import datetime
import hashlib
import hmac
import json
import urllib.parse

import pytest
import yaml

from gateway import config

KEY_ID, KEY, REGION = "AKIDOFTHEPROXY", "the-proxys-secret", "us-east-1"
TOKEN = "Bearer sk-of-the-proxy"
TYPES = "type.googleapis.com/envoy.extensions"

# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/aws_request_signing_filter
SIGNING = {
    "name": "envoy.filters.http.aws_request_signing",
    "typed_config": {
        "@type": f"{TYPES}.filters.http.aws_request_signing.v3.AwsRequestSigning",
        "service_name": "bedrock",
        "region": REGION,
        "credential_provider": {
            "inline_credential": {"access_key_id": KEY_ID, "secret_access_key": KEY}},
    },
}


def injecting(secret):
    """https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/credential_injector_filter"""
    source = {"path_config_source": {"path": str(secret)}, "resource_api_version": "V3"}
    generic = {"@type": f"{TYPES}.http.injected_credentials.generic.v3.Generic",
               "credential": {"name": "openai-key", "sds_config": source}}
    return {
        "name": "envoy.filters.http.credential_injector",
        "typed_config": {
            "@type": f"{TYPES}.filters.http.credential_injector.v3.CredentialInjector",
            "overwrite": True,
            "credential": {"name": "envoy.http.injected_credentials.generic",
                           "typed_config": generic},
        },
    }


@pytest.fixture(scope="module")
def gateway(configured, reloading, example):
    if example != "full-chain.yaml":
        pytest.skip("Envoy's filters, which stand behind the same filter in every cluster")
    secret = reloading.directory / "openai-key.yaml"
    secret.write_text(json.dumps({"resources": [{
        "@type": f"{TYPES}.transport_sockets.tls.v3.Secret", "name": "openai-key",
        "generic_secret": {"secret": {"inline_string": TOKEN}}}]}))
    filters = {"openai": injecting(secret), "bedrock": SIGNING}

    def edit(text):
        whole = yaml.safe_load(text)
        for wasm in config.wasm_configs(whole["static_resources"]):
            sections = json.loads(wasm["configuration"]["value"])
            for provider in sections.get("ai-proxy", sections).get("providers", []):
                if provider["name"] in filters:
                    provider.pop("aws", provider.pop("api_key", None))
                    provider["auth"] = "host"
            wasm["configuration"]["value"] = json.dumps(sections)
        for cluster in whole["static_resources"]["clusters"]:
            if cluster["name"] in filters:
                # Clusters share theirs.
                options = copy.deepcopy(cluster["typed_extension_protocol_options"])
                cluster["typed_extension_protocol_options"] = options
                (protocol,) = options.values()
                # Ours come before it, and the codec is the last.
                protocol["http_filters"].insert(-1, filters[cluster["name"]])
        return yaml.safe_dump(whole, sort_keys=False)

    return configured(edit)


def test_envoy_injects_the_key_and_the_clients_own_goes_nowhere(gateway, ask):
    answer = gateway.post(ask("gpt-4o"), headers={"x-api-key": "mine", "api-key": "mine"})
    assert answer.status_code == 200, answer.text
    headers = dict(gateway.received("openai")[-1]["headers"])
    assert headers["authorization"] == TOKEN
    assert not {"x-api-key", "api-key"} & headers.keys()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_envoy_signs_the_body_as_it_was_translated(gateway, ask, stream):
    answer = gateway.post(ask("amazon.nova-pro-v1:0", stream=stream), {"text": "signed"})
    assert answer.status_code == 200 and "signed" in answer.text, answer.text
    sent = gateway.received("bedrock")[-1]
    assert "messages" in json.loads(sent["body_text"])
    assert dict(sent["headers"])["authorization"] == signature(sent)


def signature(sent):
    """What Amazon would compute of this request.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    headers = dict(sent["headers"])
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
    body = hashlib.sha256(sent["body_text"].encode()).hexdigest()
    # The path is encoded once more than it is sent.
    path = urllib.parse.quote(sent["path"], safe="/-_.~")
    lines = [f"{name}:{headers[name].strip()}" for name in signed.split(";")]
    request = "\n".join([sent["method"], path, "", *lines, "", signed, body])
    date = headers["x-amz-date"]
    now = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    assert abs(now - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=5)
    scope = f"{date[:8]}/{REGION}/bedrock/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{KEY}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    proof = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={signed}, Signature={proof}"
