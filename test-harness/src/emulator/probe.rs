//! A plugin written as a list of host calls, for testing a host: what each callback calls, with
//! fixed arguments, and what it returns. What the host answered is in
//! [`Vm::host_calls`](super::Vm::host_calls).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Headers, Module, Options, RootContext, Vm, imports, map};

/// A plugin under construction.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    callbacks: BTreeMap<&'static str, Vec<Step>>,
}

/// One thing a callback does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Calls a host function.
    Call(&'static str, Vec<Arg>),
    /// Returns this.
    Return(u32),
    /// Takes the first branch at the end of the stream, the second before it. Body callbacks only.
    AtEnd(Vec<Step>, Vec<Step>),
    /// Panics.
    Trap,
    /// Never ends.
    Loop,
}

/// An argument of a host call.
#[derive(Debug, Clone)]
pub enum Arg {
    /// A number.
    I32(u32),
    /// A long number.
    I64(i64),
    /// Address and size of these bytes: two arguments.
    Bytes(Vec<u8>),
    /// Where the host may write a word.
    Out,
    /// The callback's own argument (0 is the context).
    Given(usize),
}

impl Probe {
    /// A plugin that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the callback `proxy_on_<name>` does.
    pub fn on(mut self, name: &'static str, steps: impl IntoIterator<Item = Step>) -> Self {
        self.callbacks.insert(name, steps.into_iter().collect());
        self
    }

    /// The plugin as a module.
    ///
    /// # Panics
    /// If a step calls a function no host has.
    pub fn module(&self) -> Module {
        Module::from_wat(&self.wat()).expect("the probe's text is valid")
    }

    /// Starts the plugin with configuration `{}`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(&self, options: Options) -> (Vm, RootContext) {
        let vm = Vm::start(&self.module(), options).expect("the probe starts");
        let root = vm.configure("{}").expect("the probe accepts its configuration");
        (vm, root)
    }

    fn wat(&self) -> String {
        let mut writer = Writer { data: Vec::new(), imports: Vec::new() };
        let mut functions = String::new();
        for (name, steps) in &self.callbacks {
            let (params, result) = signature(name);
            let params = "i32 ".repeat(params);
            let tail = if result { "(i32.const 0)" } else { "" };
            let result = if result { "(result i32)" } else { "" };
            let body = writer.steps(steps);
            let _ = writeln!(
                functions,
                "(func (export \"proxy_on_{name}\") (param {params}) {result}\n{body}{tail})"
            );
        }
        let imports = writer.imports.iter().map(|name| import(name)).collect::<String>();
        let data: String = writer.data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let heap = (DATA + writer.data.len()).next_multiple_of(16);
        let pages = heap / PAGE + 1;
        format!(
            r#"(module {imports}
            (memory (export "memory") {pages})
            (data (i32.const {DATA}) "{data}")
            (global $heap (mut i32) (i32.const {heap}))
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
                (local $at i32)
                (local.set $at (global.get $heap))
                (global.set $heap (i32.add (global.get $heap) (local.get $size)))
                (block $enough (loop $more
                    (br_if $enough (i32.le_u (global.get $heap)
                        (i32.mul (memory.size) (i32.const {PAGE}))))
                    (drop (memory.grow (i32.const 16)))
                    (br $more)))
                (local.get $at))
            {functions})"#
        )
    }
}

/// Where the host's answers go, and where constants begin.
const SCRATCH: usize = 16;
const DATA: usize = 1024;
const PAGE: usize = 65536;

struct Writer {
    data: Vec<u8>,
    imports: Vec<&'static str>,
}

impl Writer {
    fn steps(&mut self, steps: &[Step]) -> String {
        steps.iter().map(|step| self.step(step)).collect()
    }

    fn step(&mut self, step: &Step) -> String {
        match step {
            Step::Call(name, args) => {
                if !self.imports.contains(name) {
                    self.imports.push(name);
                }
                let mut outs = 0;
                let args: String = args.iter().map(|arg| self.arg(arg, &mut outs)).collect();
                format!("(drop (call ${name} {args}))\n")
            }
            Step::Return(value) => format!("(return (i32.const {value}))\n"),
            Step::AtEnd(end, before) => {
                let (end, before) = (self.steps(end), self.steps(before));
                format!("(if (local.get 2) (then {end}) (else {before}))\n")
            }
            Step::Trap => "unreachable\n".into(),
            Step::Loop => "(loop $again (br $again))\n".into(),
        }
    }

    fn arg(&mut self, arg: &Arg, outs: &mut usize) -> String {
        match arg {
            Arg::I32(value) => format!("(i32.const {}) ", value.cast_signed()),
            Arg::I64(value) => format!("(i64.const {value}) "),
            Arg::Given(n) => format!("(local.get {n}) "),
            Arg::Out => {
                *outs += 1;
                format!("(i32.const {}) ", SCRATCH * *outs)
            }
            Arg::Bytes(bytes) => {
                let at = DATA + self.data.len();
                self.data.extend(bytes);
                format!("(i32.const {at}) (i32.const {}) ", bytes.len())
            }
        }
    }
}

/// The number of arguments of a callback, and whether it returns something.
fn signature(callback: &str) -> (usize, bool) {
    match callback {
        "context_create" | "queue_ready" => (2, false),
        "vm_start" | "configure" | "request_trailers" | "response_trailers" => (2, true),
        "request_headers" | "request_body" | "response_headers" | "response_body" => (3, true),
        "http_call_response" => (5, false),
        "done" => (1, true),
        "log" | "delete" | "tick" => (1, false),
        other => panic!("no callback proxy_on_{other}"),
    }
}

fn import(name: &str) -> String {
    let params = imports::params(name).unwrap_or_else(|| panic!("no host function {name}"));
    let params: String = params.chars().map(|c| if c == 'l' { "i64 " } else { "i32 " }).collect();
    format!(r#"(import "env" "{name}" (func ${name} (param {params}) (result i32)))"#)
}

/// Lets the message go on, or, for `configure`, `vm_start` and `done`: false.
pub fn go_on() -> Step {
    Step::Return(0)
}

/// Holds the message, or, for `configure`, `vm_start` and `done`: true.
pub fn pause() -> Step {
    Step::Return(1)
}

/// Holds the message up to its end.
pub fn pause_until_end(then: impl IntoIterator<Item = Step>) -> Step {
    Step::AtEnd(then.into_iter().collect(), vec![pause()])
}

/// Logs at level info.
pub fn log(text: &str) -> Step {
    Step::Call("proxy_log", vec![Arg::I32(2), bytes(text)])
}

/// Reads a property.
pub fn get_property(path: &[&str]) -> Step {
    Step::Call("proxy_get_property", vec![bytes(path.join("\0")), Arg::Out, Arg::Out])
}

/// Sets a property.
pub fn set_property(path: &[&str], value: impl AsRef<[u8]>) -> Step {
    Step::Call("proxy_set_property", vec![bytes(path.join("\0")), bytes(value)])
}

/// Reads a header: map 0 is the request's, 2 the response's, 6 that of an HTTP call's answer.
pub fn get_header(map: u32, name: &str) -> Step {
    let args = vec![Arg::I32(map), bytes(name), Arg::Out, Arg::Out];
    Step::Call("proxy_get_header_map_value", args)
}

/// Reads a whole header map.
pub fn get_headers(map: u32) -> Step {
    Step::Call("proxy_get_header_map_pairs", vec![Arg::I32(map), Arg::Out, Arg::Out])
}

/// Replaces a header.
pub fn set_header(map: u32, name: &str, value: &str) -> Step {
    Step::Call("proxy_replace_header_map_value", vec![Arg::I32(map), bytes(name), bytes(value)])
}

/// Adds a header.
pub fn add_header(map: u32, name: &str, value: &str) -> Step {
    Step::Call("proxy_add_header_map_value", vec![Arg::I32(map), bytes(name), bytes(value)])
}

/// Removes a header.
pub fn remove_header(map: u32, name: &str) -> Step {
    Step::Call("proxy_remove_header_map_value", vec![Arg::I32(map), bytes(name)])
}

/// Reads from a buffer: 0 is the request's body, 1 the response's, 4 that of an HTTP call's answer,
/// 6 the VM's configuration, 7 the plugin's.
pub fn get_buffer(kind: u32, start: u32, size: Arg) -> Step {
    let args = vec![Arg::I32(kind), Arg::I32(start), size, Arg::Out, Arg::Out];
    Step::Call("proxy_get_buffer_bytes", args)
}

/// Replaces a range of a buffer.
pub fn set_buffer(kind: u32, start: u32, size: u32, with: &str) -> Step {
    let args = vec![Arg::I32(kind), Arg::I32(start), Arg::I32(size), bytes(with)];
    Step::Call("proxy_set_buffer_bytes", args)
}

/// Answers in the upstream's place.
pub fn local_reply(status: u32, headers: &[(&str, &str)], body: &str) -> Step {
    let headers = bytes(map::serialize(&Headers::from(headers)));
    let args = vec![Arg::I32(status), bytes("probe"), bytes(body), headers, Arg::I32(u32::MAX)];
    Step::Call("proxy_send_local_response", args)
}

/// Makes an HTTP call with all the pseudo headers.
pub fn http_call(upstream: &str, body: &str) -> Step {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/call"),
        (":authority", "service.example"),
    ];
    http_call_with(upstream, &headers, body)
}

/// Makes an HTTP call.
pub fn http_call_with(upstream: &str, headers: &[(&str, &str)], body: &str) -> Step {
    let headers = bytes(map::serialize(&Headers::from(headers)));
    let args = vec![bytes(upstream), headers, bytes(body), bytes(""), Arg::I32(5000), Arg::Out];
    Step::Call("proxy_http_call", args)
}

/// Continues the request (0) or the response (1).
pub fn continue_stream(kind: u32) -> Step {
    Step::Call("proxy_continue_stream", vec![Arg::I32(kind)])
}

/// Closes the request (0), the response (1), or what else the ABI has.
pub fn close_stream(kind: u32) -> Step {
    Step::Call("proxy_close_stream", vec![Arg::I32(kind)])
}

/// Works on another context from here on.
pub fn set_effective_context(id: u32) -> Step {
    Step::Call("proxy_set_effective_context", vec![Arg::I32(id)])
}

/// Bytes as an argument.
pub fn bytes(bytes: impl AsRef<[u8]>) -> Arg {
    Arg::Bytes(bytes.as_ref().to_vec())
}
