//! Modules that copy memory themselves do what they did.

#![allow(clippy::unwrap_used)]

use layout::{Shape, copying};
use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Engine, Instance, Memory, Module, Store, Trap, TypedFunc};

const COPIES: &str = r#"(module
    (import "host" "none" (func))
    (memory (export "memory") 1 1)
    (func (export "copy") (param i32 i32 i32)
        (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "both") (param i32 i32 i32)
        (memory.copy (local.get 0) (local.get 1) (local.get 2))
        (memory.copy (local.get 1) (local.get 0) (local.get 2))))"#;

struct Running {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Running {
    fn of(module: &[u8]) -> Self {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let module = Module::new(&engine, module).unwrap();
        let none = wasmtime::Func::wrap(&mut store, || {});
        let instance = Instance::new(&mut store, &module, &[none.into()]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self { store, instance, memory }
    }

    fn call(&mut self, name: &str, numbers: (i32, i32, i32)) -> wasmtime::Result<()> {
        let copy: TypedFunc<(i32, i32, i32), ()> =
            self.instance.get_typed_func(&mut self.store, name).unwrap();
        copy.call(&mut self.store, numbers)
    }

    /// The first kilobyte after a call, where each byte was another than those next to it.
    fn after(&mut self, name: &str, numbers: (i32, i32, i32)) -> Vec<u8> {
        let bytes = self.memory.data_mut(&mut self.store).iter_mut().take(1024);
        bytes.zip((0..=250).cycle()).for_each(|(byte, number)| *byte = number);
        self.call(name, numbers).unwrap();
        self.memory.data(&self.store).iter().take(1024).copied().collect()
    }
}

#[test]
fn every_size_is_copied_at_every_distance() {
    let module = wat::parse_str(COPIES).unwrap();
    let mut before = Running::of(&module);
    let mut after = Running::of(&copying(&module).unwrap());
    for count in 0..=80 {
        for to in [0, 300, 460].into_iter().chain(500 - count..=500 + count) {
            let numbers = (to, 500, count);
            assert!(before.after("copy", numbers) == after.after("copy", numbers), "{numbers:?}");
        }
    }
    let numbers = (700, 710, 20);
    assert!(before.after("both", numbers) == after.after("both", numbers));
}

#[test]
fn what_lies_outside_is_not_copied() {
    let mut running = Running::of(&copying(&wat::parse_str(COPIES).unwrap()).unwrap());
    let end = 65_536;
    for count in [1, 2, 5, 9, 17, 40, 70] {
        running.call("copy", (0, end - count, count)).unwrap();
        running.call("copy", (end - count, 0, count)).unwrap();
        for numbers in [(0, end - count + 1, count), (end - count + 1, 0, count)] {
            let trap = running.call("copy", numbers).unwrap_err().downcast::<Trap>().unwrap();
            assert_eq!(trap, Trap::MemoryOutOfBounds, "{numbers:?}");
        }
    }
}

#[test]
fn one_function_copies_for_all() {
    let module = wat::parse_str(COPIES).unwrap();
    let after = copying(&module).unwrap();
    assert_eq!(Shape::of(&after).unwrap().functions.len(), 3);
    let mut copies = Vec::new();
    for payload in Parser::new(0).parse_all(&after) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
            let copying = |operator: &Operator<'_>| matches!(operator, Operator::MemoryCopy { .. });
            copies.push(operators.filter(copying).count());
        }
    }
    assert_eq!(copies, [0, 0, 1]);
    assert!(copying(b"no module").is_err());
}
