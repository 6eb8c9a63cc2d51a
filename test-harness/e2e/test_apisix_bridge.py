"""The Lua of the body bridge, run in LuaJIT as APISIX runs it: what stands in the examples, and the plugin."""

import pytest
import yaml
from lupa.luajit21 import LuaRuntime

from gateway.apisix import EXAMPLES

NGINX = """
ngx = { var = {}, arg = {}, read = 0, body = nil }
ngx.req = {
  read_body = function() ngx.read = ngx.read + 1 end,
  set_body_data = function(data) ngx.body = data end,
}
package.preload["apisix.core"] = function()
  return { schema = { check = function(schema, conf) return true end } }
end
"""


def functions():
    """The pairs of functions that the examples have, and the plugin's."""
    for path in sorted(EXAMPLES.glob("*.yaml")):
        if path.name in ("config.yaml", "kubernetes.yaml"):
            continue
        for route in yaml.safe_load(path.read_text())["routes"]:
            plugins = route["plugins"]
            if "serverless-pre-function" in plugins:
                before, after = (plugins[f"serverless-{when}-function"] for when in ("pre", "post"))
                assert (before["phase"], after["phase"]) == ("access", "body_filter")
                yield path.name, before["functions"][0], after["functions"][0]
    yield "plugin", None, None


@pytest.fixture(params=list(functions()), ids=lambda found: found[0])
def bridge(request):
    """nginx, and the two functions in it."""
    lua = LuaRuntime(encoding=None)
    lua.execute(NGINX)
    name, before, after = request.param
    if name == "plugin":
        source = (EXAMPLES / "lua/apisix/plugins/ai-body-bridge.lua").read_bytes()
        plugin = lua.execute(source)
        assert plugin[b"check_schema"](lua.table()) is True
        # Above it the Wasm plugins, in the answer's phases too.
        assert plugin[b"priority"] < 0 and plugin[b"name"] == b"ai-body-bridge"
        return lua.globals().ngx, plugin[b"access"], plugin[b"body_filter"]
    return lua.globals().ngx, lua.execute(before), lua.execute(after)


def test_what_the_plugin_has_set_goes_in_place_of_a_body(bridge):
    ngx, before, after = bridge
    for body in (b'{"model": "\xc3\xa9"}', b""):
        ngx.var.wasm_req_body, ngx.var.wasm_req_body_set = body, b"1"
        before(None, None)
        assert (ngx.body, ngx.read > 0) == (body, True)
        ngx.var.wasm_resp_body, ngx.var.wasm_resp_body_set = body, b"1"
        ngx.arg[1] = b"of the provider"
        after(None, None)
        assert ngx.arg[1] == body


@pytest.mark.parametrize("flag", [None, b"", b"0"])
def test_a_body_stays_as_it_is_unless_the_plugin_says_so(bridge, flag):
    ngx, before, after = bridge
    ngx.var.wasm_req_body = ngx.var.wasm_resp_body = b"not meant"
    ngx.var.wasm_req_body_set = ngx.var.wasm_resp_body_set = flag
    ngx.arg[1] = b"of the provider"
    before(None, None)
    after(None, None)
    assert (ngx.body, ngx.arg[1]) == (None, b"of the provider")
