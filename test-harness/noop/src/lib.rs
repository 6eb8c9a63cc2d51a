//! A filter that is called for every header map and every piece of a body, and does nothing. With a
//! configuration it answers each request with that, once it has come.
#![cfg(target_os = "wasi")]

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

proxy_wasm::main! {{ proxy_wasm::set_root_context(|_| Box::new(Root(None))) }}

struct Root(Option<Rc<[u8]>>);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.0 = self.get_plugin_configuration().map(Rc::from);
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Nothing(self.0.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Nothing(Option<Rc<[u8]>>);

impl Context for Nothing {}

impl HttpContext for Nothing {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        // Who answers lets nothing pass.
        if self.0.is_some() { Action::Pause } else { Action::Continue }
    }

    fn on_http_request_body(&mut self, _: usize, end: bool) -> Action {
        let Some(answer) = &self.0 else { return Action::Continue };
        if end {
            let headers = vec![("content-type", "application/json")];
            self.send_http_response(200, headers, Some(answer));
        }
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        Action::Continue
    }

    fn on_http_response_body(&mut self, _: usize, _: bool) -> Action {
        Action::Continue
    }
}
