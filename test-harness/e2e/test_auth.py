"""ai-auth's keys in real Redis through Webdis and behind an HTTP service, and identities that Envoy itself has
proved: client certificates and tokens."""

import base64
import copy
import hashlib
import hmac
import http.server
import json
import secrets
import ssl
import threading
import time

import httpx
import pytest
import yaml

from gateway import certificates, config
from gateway.redis import Redis
from gateway.stack import Stack
from test_limits import cluster

TTL = 1
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
OTHER = {**BODY, "model": "claude-haiku-4-5"}
SPIFFE = "spiffe://example.org/agent"
SECRET = b"a secret of thirty-two bytes, or more"


def mint(name):
    """A key of this id, and its entry."""
    key = f"sk-aigw-{name}-{secrets.token_hex(32)}"
    key += hashlib.sha256(key.encode()).hexdigest()[:8]
    digest = hashlib.sha256(key.encode()).hexdigest()
    consumer = {"name": f"owner of {name}", "allow": {"models": ["gpt-*"]}}
    return key, json.dumps({"hash": f"sha256:{digest}", "consumer": consumer})


STATIC, STATIC_ENTRY = mint("static")
CONSUMERS = [
    {"name": "static", "keys": [{"id": "static", "hash": json.loads(STATIC_ENTRY)["hash"]}]},
    {"name": "agent", "identities": [SPIFFE, "robot-7"], "allow": {"models": ["gpt-*"]}},
]


def edited(auth, *clusters, change=lambda document: None):
    """The bundle's example with this section of ai-auth."""

    def edit(text):
        document = yaml.safe_load(text)
        document["static_resources"]["clusters"].extend(clusters)
        for wasm in config.wasm_configs(document):
            sections = json.loads(wasm["configuration"]["value"])
            sections["ai-auth"] = {"consumers": CONSUMERS, **auth}
            wasm["configuration"]["value"] = json.dumps(sections)
        change(document)
        return yaml.safe_dump(document, sort_keys=False)

    return edit


def ask(url, key=None, body=None, **options):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.post(f"{url}/chat/completions", json=body or BODY, headers=headers, timeout=30,
                      **options).status_code


def within(seconds, check):
    deadline = time.monotonic() + seconds
    while not (held := check()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return held


class Keys(http.server.BaseHTTPRequestHandler):
    """A service that knows keys."""

    known: dict = {}

    def do_GET(self):
        entry = self.known.get(self.path.removeprefix("/keys/"))
        allowed = self.headers["x-service-key"] == "service-secret"
        self.send_response(200 if entry and allowed else 404)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write((entry or "").encode() if allowed else b"")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with Redis(tmp_path_factory.mktemp("redis")) as running:
        running.wait()
        yield running


def issue(folder, name, san):
    """A client's certificate of an authority of its own."""
    openssl = certificates.openssl
    (folder / f"{name}.ext").write_text(f"subjectAltName={san}")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def with_redis(tmp_path_factory, redis):
    """Keys in Redis, and a second listener that demands certificates."""
    folder = tmp_path_factory.mktemp("tls")
    certificates.make(folder, ["localhost"])
    issue(folder, "agent", f"URI:{SPIFFE}")
    issue(folder, "stranger", "URI:spiffe://example.org/stranger")
    port, = config.free_ports(1)

    def add_listener(document):
        listeners = document["static_resources"]["listeners"]
        listener = copy.deepcopy(listeners[0])
        listener["name"] = "mtls"
        listener["address"]["socket_address"]["port_value"] = port
        pem = lambda name: {"filename": str(folder / name)}
        listener["filter_chains"][0]["transport_socket"] = {
            "name": "envoy.transport_sockets.tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": True, "common_tls_context": {
                    "tls_certificates": [{"certificate_chain": pem("server.pem"),
                                          "private_key": pem("server.key")}],
                    "validation_context": {"trusted_ca": pem("ca.pem")}}}}
        listeners.append(listener)

    auth = {"lookup": {"kind": "webdis", "upstream": "webdis", "prefix": "ai:key:", "ttl": TTL,
                       "timeout_ms": 500},
            "host_identity": {"from": "mtls_uri"}}
    edit = edited(auth, cluster("webdis", redis.http_port), change=add_listener)
    with Stack("bundle.yaml", directory=tmp_path_factory.mktemp("webdis"), edit=edit) as stack:
        yield stack, f"https://localhost:{port}/v1", folder
        assert "service-secret" not in stack.log and "sk-aigw" not in stack.log


@pytest.fixture(scope="module")
def with_service(tmp_path_factory):
    """Keys behind a service, and tokens that Envoy's own filter has checked."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    jwks = {"keys": [{"kty": "oct", "alg": "HS256", "kid": "1",
                      "k": base64.urlsafe_b64encode(SECRET).decode().rstrip("=")}]}

    def add_filter(document):
        listener = document["static_resources"]["listeners"][0]
        filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
        first = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
        filters.insert(0, {"name": "envoy.filters.http.jwt_authn", "typed_config": {
            "@type": first,
            "providers": {"corp": {"issuer": "https://corp.example", "payload_in_metadata": "token",
                                   "from_headers": [{"name": "x-token"}],
                                   "local_jwks": {"inline_string": json.dumps(jwks)}}},
            "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "corp"}, {"allow_missing": {}}]}}}]}})

    auth = {"lookup": {"kind": "http", "upstream": "keys", "prefix": "/keys/", "ttl": TTL,
                       "headers": {"x-service-key": "service-secret"}},
            "host_identity": {"from": "jwt_authn", "payload": "token", "claim": "sub"}}
    edit = edited(auth, cluster("keys", server.server_address[1]), change=add_filter)
    with Stack("bundle.yaml", directory=tmp_path_factory.mktemp("service"), edit=edit) as stack:
        yield stack
        assert "service-secret" not in stack.log and "sk-aigw" not in stack.log
    server.shutdown()
    server.server_close()


def store(redis, kind, name, entry):
    """Puts a key's entry there, or takes it away."""
    if kind == "http":
        Keys.known.pop(name, None) if entry is None else Keys.known.update({name: entry})
    elif entry is None:
        redis.command("DEL", f"ai:key:{name}")
    else:
        redis.command("SET", f"ai:key:{name}", entry)


@pytest.mark.parametrize("kind", ["webdis", "http"])
def test_issuing_rotating_and_revoking_take_effect_in_time(request, redis, kind):
    stack = request.getfixturevalue("with_service") if kind == "http" else \
        request.getfixturevalue("with_redis")[0]
    url, name = stack.base_url, "team.a_1"

    def change(entry):
        store(redis, kind, name, entry)
        # Each worker may know the old answer for so long.
        time.sleep(TTL + 0.2)

    def statuses(*arguments):
        return {ask(url, *arguments) for _ in range(4)}

    key, entry = mint(name)
    assert statuses(key) == {401}
    change(entry)
    assert statuses(key) == {200} and statuses(key, OTHER) == {403}
    newer, entry = mint(name)
    change(entry)
    assert statuses(key) == {401} and statuses(newer) == {200}
    change(None)
    assert statuses(newer) == {401} and statuses(STATIC) == {200}


def test_a_store_that_hangs_gives_nobody_what_is_anothers(with_redis, redis):
    url = with_redis[0].base_url
    (key, entry), (other, others) = mint("mine"), mint("yours")
    store(redis, "webdis", "mine", entry)
    store(redis, "webdis", "yours", others)
    for _ in range(3):
        redis.freeze()
        try:
            assert ask(url, key) == 503
            assert ask(url, STATIC) == 200
        finally:
            redis.freeze(False)
        # Whatever Webdis mixes up, nobody is taken for another and no key is taken for unknown.
        assert within(5, lambda: (status := ask(url, other)) == 200 or status != 503)
        assert ask(url, other) == 200 and within(5, lambda: ask(url, key) == 200)
        time.sleep(TTL + 0.1)


def test_a_client_is_known_by_its_certificate(with_redis):
    _, url, folder = with_redis

    def context(name):
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        if name:
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return context

    assert ask(url, verify=context("agent")) == 200
    assert ask(url, body=OTHER, verify=context("agent")) == 403
    assert ask(url, verify=context("stranger")) == 401
    assert ask(url, STATIC, verify=context("stranger")) == 200
    with pytest.raises(httpx.HTTPError):
        ask(url, verify=context(None))


def token(subject, secret=SECRET):
    encode = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=")
    head = encode(json.dumps({"alg": "HS256", "kid": "1"}).encode())
    claims = {"iss": "https://corp.example", "sub": subject, "exp": int(time.time()) + 60}
    signed = head + b"." + encode(json.dumps(claims).encode())
    return (signed + b"." + encode(hmac.digest(secret, signed, "sha256"))).decode()


def test_a_client_is_known_by_what_envoys_filter_has_checked(with_service):
    url = f"{with_service.base_url}/chat/completions"

    def send(token, body):
        return httpx.post(url, json=body, headers={"x-token": token}, timeout=30).status_code

    assert send(token("robot-7"), BODY) == 200
    assert send(token("robot-7"), OTHER) == 403
    assert send(token("robot-8"), BODY) == 401
    # Envoy itself refuses what it cannot check.
    assert send(token("robot-7", b"another secret of thirty-two bytes"), BODY) == 401
    assert ask(with_service.base_url) == 401
