//! The two functions of the body bridge. Their Lua is not run here: it is known word for word, and the
//! end-to-end tests run it in LuaJIT.

use std::collections::BTreeMap;

/// Variables of nginx, by name.
pub(super) type Variables = BTreeMap<String, Vec<u8>>;

/// The Lua plugin that does the same as the two functions.
pub(super) const PLUGIN: &str = "ai-body-bridge";

/// Puts the plugin's request body in place of the client's.
const REQUEST: &str = r#"
return function(conf, ctx)
  if ngx.var.wasm_req_body_set == "1" then
    ngx.req.read_body()
    ngx.req.set_body_data(ngx.var.wasm_req_body)
  end
end"#;

/// Puts what the plugin makes of a piece of an answer in place of it.
const RESPONSE: &str = r#"
return function(conf, ctx)
  if ngx.var.wasm_resp_body_set == "1" then
    ngx.arg[1] = ngx.var.wasm_resp_body
  end
end"#;

/// Whether this is the function for requests.
pub(super) fn is_request(source: &str) -> bool {
    source.trim() == REQUEST.trim()
}

/// Whether this is the function for answers.
pub(super) fn is_response(source: &str) -> bool {
    source.trim() == RESPONSE.trim()
}

/// What goes out instead of a body, if the plugin says so.
pub(super) fn instead(variables: &Variables, body: &str) -> Option<Vec<u8>> {
    let set = variables.get(&format!("{body}_set")).is_some_and(|flag| flag == b"1");
    set.then(|| variables.get(body).cloned().unwrap_or_default())
}
