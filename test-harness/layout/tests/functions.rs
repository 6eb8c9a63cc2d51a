//! Modules whose functions were moved do what they did.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::fmt::Write;

use layout::{CLOCK, Functions, ordered, traced, tracer};
use wasmtime::{Engine, Instance, Module, Store, Val};

/// Own functions of the module in these tests: more than have an index of one byte.
const FUNCTIONS: usize = 300;

/// A module that imports one function and has 300: `f0` gives what the host does, and each other 1 more than the one
/// before it, called directly by those with an even number and through the table by the others. The start function is
/// `f298`, whose calls end in the host's.
fn module() -> Vec<u8> {
    let mut text = String::from(
        "(module (import \"host\" \"seven\" (func $seven (result i32)))\n\
         (type $gives (func (result i32)))\n\
         (global $sum (mut i32) (i32.const 0))\n\
         (export \"sum\" (global $sum))\n\
         (func $begin call $f298 global.set $sum)\n(start $begin)\n",
    );
    for number in 0..FUNCTIONS {
        let body = match number {
            0 => "call $seven".to_owned(),
            _ if number % 2 == 0 => format!("(i32.add (call $f{}) (i32.const 1))", number - 1),
            _ => format!(
                "(i32.add (call_indirect (type $gives) (i32.const {})) (i32.const 1))",
                number - 1
            ),
        };
        writeln!(text, "(func $f{number} (export \"f{number}\") (type $gives) {body})").unwrap();
    }
    let all: String = (0..FUNCTIONS).map(|number| format!(" $f{number}")).collect();
    writeln!(text, "(table {FUNCTIONS} funcref) (elem (i32.const 0) func{all}))").unwrap();
    wat::parse_str(text).unwrap()
}

fn start(module: &[u8]) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, module).unwrap();
    let mut store = Store::new(&engine, ());
    let seven = wasmtime::Func::wrap(&mut store, || 7_i32);
    let instance = Instance::new(&mut store, &module, &[seven.into()]).unwrap();
    (store, instance)
}

fn call(store: &mut Store<()>, instance: &Instance, name: &str) -> i32 {
    let function = instance.get_typed_func::<(), i32>(&mut *store, name).unwrap();
    function.call(store, ()).unwrap()
}

fn global(store: &mut Store<()>, instance: &Instance, name: &str) -> i32 {
    instance.get_global(&mut *store, name).unwrap().get(store).unwrap_i32()
}

/// Which function of the host's and the module's is exported under each name.
fn indices(module: &[u8]) -> HashMap<String, u32> {
    let mut found = HashMap::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ExportSection(exports) = payload.unwrap() {
            for export in exports {
                let export = export.unwrap();
                found.insert(export.name.to_owned(), export.index);
            }
        }
    }
    found
}

#[test]
fn functions_are_named_and_counted() {
    let functions = Functions::read(&module()).unwrap();
    assert_eq!(functions.imported, 1);
    assert_eq!(functions.names.len(), FUNCTIONS + 1);
    assert_eq!(functions.names[0], "begin");
    assert_eq!(functions.names[FUNCTIONS], format!("f{}", FUNCTIONS - 1));
}

#[test]
fn a_name_of_rust_has_no_hashes_of_crates() {
    let text =
        "(module (func $_RNvCs1234_7mycrate3foo) (func $_ZN7mycrate3bar17h05af221e174051e9E))";
    let functions = Functions::read(&wat::parse_str(text).unwrap()).unwrap();
    assert_eq!(functions.names, ["mycrate::foo", "mycrate::bar"]);
}

#[test]
fn the_listed_come_first_in_their_order_and_all_do_what_they_did() {
    let before = module();
    let after = ordered(&before, ["f290", "unknown", "f200", "f5", "f201"]).unwrap();
    let (old, new) = (indices(&before), indices(&after));
    // Imported: 0. Those of one byte stay, `f5` among them.
    assert_eq!((new["f290"], new["f200"], new["f201"]), (128, 129, 130));
    let first = (old["f0"]..128).map(|index| format!("f{}", index - old["f0"]));
    assert!(first.into_iter().all(|name| old[&name] == new[&name]));
    // The others follow in the order that they had.
    let mut rest: Vec<_> = old.iter().filter(|(_, index)| **index >= 128).collect();
    rest.sort_by_key(|(_, index)| **index);
    rest.retain(|(name, _)| !["f290", "f200", "f201"].contains(&name.as_str()));
    assert!(rest.iter().map(|(name, _)| new[*name]).eq(131..=300 + 1));
    assert!(Functions::read(&after).unwrap().names.iter().all(String::is_empty));

    let (mut store, instance) = start(&after);
    assert_eq!(global(&mut store, &instance, "sum"), 7 + 298);
    for number in 0..FUNCTIONS {
        let given = call(&mut store, &instance, &format!("f{number}"));
        assert_eq!(given, 7 + i32::try_from(number).unwrap(), "f{number}");
    }
}

#[test]
fn an_empty_list_leaves_the_order() {
    let before = module();
    assert_eq!(indices(&ordered(&before, []).unwrap()), indices(&before));
}

#[test]
fn a_traced_module_tells_what_was_called_and_when() {
    let traced = traced(&module()).unwrap();
    let (mut store, instance) = start(&traced);
    // The start function and what it called.
    assert_eq!(global(&mut store, &instance, CLOCK), 300);
    assert_eq!(global(&mut store, &instance, &tracer(0)), 1, "begin");
    assert_eq!(global(&mut store, &instance, &tracer(299)), 2, "f298");
    assert_eq!(global(&mut store, &instance, &tracer(1)), 300, "f0");
    assert_eq!(global(&mut store, &instance, &tracer(300)), 0, "f299 was not called");

    for function in 0..=FUNCTIONS {
        let counter = instance.get_global(&mut store, &tracer(function)).unwrap();
        counter.set(&mut store, Val::I32(0)).unwrap();
    }
    instance.get_global(&mut store, CLOCK).unwrap().set(&mut store, Val::I32(0)).unwrap();
    assert_eq!(call(&mut store, &instance, "f2"), 9);
    let called = [1, 2, 3].map(|function| global(&mut store, &instance, &tracer(function)));
    assert_eq!(called, [3, 2, 1]);
    assert_eq!(global(&mut store, &instance, CLOCK), 3);
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b"\0asm\x01\0\0\0\x0a\x05"[..], b"no module"] {
        assert!(ordered(bytes, ["f"]).is_err());
        assert!(traced(bytes).is_err());
    }
    let without_globals = wat::parse_str("(module (func))").unwrap();
    assert_eq!(traced(&without_globals).unwrap_err().to_string(), "it has no globals to add to");
}
