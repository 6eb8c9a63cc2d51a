//! Modules whose functions were moved do what they did.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::fmt::Write;

use layout::{Passed, Shape, TRACE, laid_out, traced};
use wasmparser::{KnownCustom, Operator, Parser, Payload};
use wasmtime::{Engine, Instance, Module, Store};

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
         (export \"sum\" (global $sum))\n(memory 1)\n\
         (func $begin call $f298 global.set $sum)\n(start $begin)\n",
    );
    for number in 0..FUNCTIONS {
        let body = match number {
            0 => "call $seven".to_owned(),
            290 => "(if (result i32) (i32.const 1) (then (i32.add (call $f289) (i32.const 1))) \
                    (else (i32.const 0)))"
                .to_owned(),
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

fn calling(functions: &[usize]) -> Passed {
    Passed { functions: functions.to_vec(), branches: Vec::new() }
}

#[test]
fn functions_are_counted() {
    let shape = Shape::of(&module()).unwrap();
    assert_eq!((shape.imported, shape.functions.len()), (1, FUNCTIONS + 1));
}

#[test]
fn those_that_are_called_come_first_in_their_order_and_all_do_what_they_did() {
    let before = module();
    // `begin` is the first of its own.
    let mut passed = calling(&[291, 201, 6, 202, 9_999]);
    passed.branches = vec![Vec::new(); FUNCTIONS + 1];
    passed.branches[291] = vec![[0, 5]];
    let after = laid_out(&before, &passed).unwrap();
    assert_eq!(hints(&after), [(128, "if", true)]);
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
    let named = |payload: &Payload<'_>| matches!(payload, Payload::CustomSection(section) if section.name() == "name");
    assert!(!Parser::new(0).parse_all(&after).any(|payload| named(&payload.unwrap())));

    let (mut store, instance) = start(&after);
    assert_eq!(global(&mut store, &instance, "sum"), 7 + 298);
    for number in 0..FUNCTIONS {
        let given = call(&mut store, &instance, &format!("f{number}"));
        assert_eq!(given, 7 + i32::try_from(number).unwrap(), "f{number}");
    }
}

#[test]
fn what_is_not_known_leaves_the_order() {
    let before = module();
    let after = laid_out(&before, &Passed::default()).unwrap();
    assert_eq!(indices(&after), indices(&before));
    assert_eq!(hints(&after), []);
}

#[test]
fn a_traced_module_tells_what_was_called_and_when() {
    let module = module();
    let shape = Shape::of(&module).unwrap();
    let (mut store, instance) = start(&traced(&module).unwrap());
    let trace = instance.get_memory(&mut store, TRACE).unwrap();
    // The start function and what it called; nothing has called `f299`.
    let passed = Passed::read(&shape, trace.data(&store));
    assert_eq!(passed.functions, [vec![0], (1..=299).rev().collect()].concat());

    trace.data_mut(&mut store).fill(0);
    assert_eq!(call(&mut store, &instance, "f2"), 9);
    let mut passed = Passed::read(&shape, trace.data(&store));
    assert_eq!(passed.functions, [3, 2, 1]);
    passed.add(&calling(&[300, 2]));
    assert_eq!(passed.functions, [3, 2, 1, 300]);
}

/// `walk` adds 1 as often as it is told to, and 5 at the 1,000th from the end.
const WAYS: &str = r#"(module
    (memory 1)
    (func $begin)
    (func $walk (export "walk") (param $n i32) (result i32)
        (local $sum i32)
        (loop $again
            (local.set $sum (i32.add (local.get $sum)
                (if (result i32) (i32.eq (local.get $n) (i32.const 1000))
                    (then (i32.const 5)) (else (i32.const 1)))))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (block $even
            (br_if $even (i32.and (local.get $sum) (i32.const 1)))
            call $begin)
        local.get $sum)
    (func (export "other") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (i32.const 3)) (else (i32.const 4)))))"#;

/// The hints of a module: the function, what has a hint there, and whether it is likely.
fn hints(module: &[u8]) -> Vec<(u32, &'static str, bool)> {
    let mut operators = HashMap::new();
    let mut index = Shape::of(module).unwrap().imported;
    let mut found = Vec::new();
    let mut code_follows = false;
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::CustomSection(section) => {
                let KnownCustom::BranchHints(functions) = section.as_known() else { continue };
                code_follows = true;
                for function in functions {
                    let function = function.unwrap();
                    for hint in function.hints {
                        let hint = hint.unwrap();
                        found.push((function.func, hint.func_offset, hint.taken));
                    }
                }
            }
            Payload::CodeSectionStart { .. } => assert!(code_follows, "hints come before code"),
            Payload::CodeSectionEntry(body) => {
                let mut reader = body.get_operators_reader().unwrap();
                while !reader.eof() {
                    let (operator, at) = reader.read_with_offset().unwrap();
                    let kind = match operator {
                        Operator::If { .. } => "if",
                        Operator::BrIf { .. } => "br_if",
                        _ => continue,
                    };
                    let at = u32::try_from(at - body.range().start).unwrap();
                    operators.insert((index, at), kind);
                }
                index += 1;
            }
            _ => {}
        }
    }
    found.into_iter().map(|(index, at, taken)| (index, operators[&(index, at)], taken)).collect()
}

fn walk(store: &mut Store<()>, instance: &Instance, steps: i32) -> i32 {
    let function = instance.get_typed_func::<i32, i32>(&mut *store, "walk").unwrap();
    function.call(store, steps).unwrap()
}

fn begin(module: &[u8]) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, module).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    (store, instance)
}

#[test]
fn branches_are_counted_and_hints_say_which_way_they_mostly_go() {
    let module = wat::parse_str(WAYS).unwrap();
    let shape = Shape::of(&module).unwrap();
    assert_eq!(shape.functions.iter().map(Vec::len).collect::<Vec<_>>(), [0, 3, 1]);
    let (mut store, instance) = begin(&traced(&module).unwrap());
    assert_eq!(walk(&mut store, &instance, 1000), 1004);
    let trace = instance.get_memory(&mut store, TRACE).unwrap();
    let mut passed = Passed::read(&shape, trace.data(&store));
    assert_eq!(passed.functions, [1, 0]);
    let walked = vec![[999, 1], [1, 999], [1, 0]];
    assert_eq!(passed.branches, [vec![], walked, vec![[0, 0]]]);
    let after = laid_out(&module, &passed).unwrap();
    let expected = [(1, "if", false), (1, "br_if", true), (1, "br_if", false)];
    assert_eq!(hints(&after), expected);
    let (mut store, instance) = begin(&after);
    assert_eq!(walk(&mut store, &instance, 1000), 1004);

    // One in ten is few, and what goes both ways has no hint.
    let later = vec![[0, 0], [0, 0], [1, 0]];
    let again = Passed { functions: vec![2], branches: vec![vec![], later, vec![[9, 1]]] };
    passed.add(&again);
    assert_eq!(passed.branches[1], [[999, 1], [1, 999], [2, 0]]);
    passed.branches[1][1] = [2, 10];
    let expected = [(1, "if", false), (1, "br_if", false), (2, "if", false)];
    assert_eq!(hints(&laid_out(&module, &passed).unwrap()), expected);
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b"\0asm\x01\0\0\0\x0a\x05"[..], b"no module"] {
        assert!(laid_out(bytes, &Passed::default()).is_err());
        assert!(traced(bytes).is_err());
    }
    let bare = wat::parse_str("(module (func))").unwrap();
    let expected = "it has no memory or no exports to add to";
    assert_eq!(traced(&bare).unwrap_err().to_string(), expected);
}
