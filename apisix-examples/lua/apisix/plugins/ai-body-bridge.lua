-- The two functions of the body bridge as a plugin, for sites that do not allow serverless-*.
--
-- APISIX's Wasm runtime cannot change bodies. The Wasm plugin says in variables of nginx what is to stand in
-- their place, and this puts it there. It reads nothing else and has no settings.
local core = require("apisix.core")
local ngx = ngx

local schema = {
    type = "object",
    properties = {},
}

local _M = {
    version = 0.1,
    -- Below the Wasm plugins: answers go through the plugins in the same order as requests do.
    priority = -2000,
    name = "ai-body-bridge",
    schema = schema,
}

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

-- The Wasm plugin has run in the rewrite phase. nginx counts the new body's length.
function _M.access()
    if ngx.var.wasm_req_body_set == "1" then
        ngx.req.read_body()
        ngx.req.set_body_data(ngx.var.wasm_req_body)
    end
end

-- For each piece of the answer, after the Wasm plugin has seen it. The last piece is empty.
function _M.body_filter()
    if ngx.var.wasm_resp_body_set == "1" then
        ngx.arg[1] = ngx.var.wasm_resp_body
    end
end

return _M
