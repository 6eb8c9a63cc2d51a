//! Functions put in another order.

use std::collections::HashMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, Parser,
};

use super::{Invalid, Passed, Shape};

/// Indices below take one byte where a function is called.
const SHORT: usize = 128;

/// The module with the functions first that were called, in the order of their first calls, then all others as they
/// were; and which function each place now has, imported ones not counted. Those whose index takes one byte stay
/// before all of them: the optimizer chose them, as they are called from the most places, and the module would be larger
/// otherwise. Its sections for tools, such as that of names, are left out.
///
/// # Errors
/// If it is no module.
pub(super) fn ordered(module: &[u8], passed: &Passed) -> Result<(Vec<u8>, Vec<usize>), Invalid> {
    let shape = Shape::of(module)?;
    let short = SHORT.saturating_sub(shape.imported as usize);
    let places: HashMap<usize, usize> = passed.functions.iter().copied().zip(0..).collect();
    let mut old: Vec<usize> = (0..shape.functions.len()).collect();
    old.sort_by_key(|old| match *old < short {
        true => (false, 0),
        false => (true, places.get(old).copied().unwrap_or(usize::MAX)),
    });
    let mut new = vec![0; old.len()];
    for (index, old) in (shape.imported..).zip(&old) {
        if let Some(new) = new.get_mut(*old) {
            *new = index;
        }
    }
    let mut order = Order { imported: shape.imported, old, new };
    let mut out = Module::new();
    order.parse_core_module(&mut out, Parser::new(0), module)?;
    Ok((out.finish(), order.old))
}

struct Order {
    imported: u32,
    /// Which function each place now has, imported ones not counted.
    old: Vec<usize>,
    /// The index that each function now has.
    new: Vec<u32>,
}

impl Reencode for Order {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error> {
        let own = index.checked_sub(self.imported);
        Ok(own.and_then(|own| self.new.get(own as usize)).copied().unwrap_or(index))
    }

    fn parse_function_section(
        &mut self,
        out: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        let types: Vec<u32> = section.into_iter().collect::<Result<_, _>>()?;
        for of in self.old.iter().filter_map(|old| types.get(*old)) {
            out.function(*of);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        out: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        let mut bodies: Vec<Option<FunctionBody<'_>>> =
            section.into_iter().map(|body| body.map(Some)).collect::<Result<_, _>>()?;
        for place in 0..self.old.len() {
            let old = self.old.get(place).and_then(|old| bodies.get_mut(*old));
            if let Some(body) = old.and_then(Option::take) {
                self.parse_function_body(out, body)?;
            }
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        Ok(())
    }
}
