//! Where a module's code is.
//!
//! Proxies compile functions one after another, in the module's order, and each with all of its branches in their
//! order. Of the bundle's 6,000 functions an exchange calls 1,000, and of those it passes the smaller part, so that what
//! it runs is strewn over all of the code, and a processor fetches the rest along with it. [`laid_out`] puts the
//! functions that are called next to each other, and says of branches which way they go: V8 moves what is not passed
//! out of the way (`docs/performance.md`).
//!
//! What is passed is found by running a module that [`traced`] has changed. Before that, [`copying`] takes the calls of the
//! proxy out of it that compiled code makes to copy memory.

mod copies;
mod hints;
mod order;
mod trace;

use wasmparser::{BinaryReaderError, Operator, Parser, Payload, TypeRef};

pub use copies::copying;
pub use trace::{Passed, TRACE, traced};

/// Why a module cannot be changed.
#[derive(Debug)]
pub struct Invalid(String);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

impl From<BinaryReaderError> for Invalid {
    fn from(error: BinaryReaderError) -> Self {
        Self(error.to_string())
    }
}

impl From<wasm_encoder::reencode::Error> for Invalid {
    fn from(error: wasm_encoder::reencode::Error) -> Self {
        Self(error.to_string())
    }
}

/// The module with what was `passed` next to each other, and without its sections for tools, such as that of names.
///
/// # Errors
/// If it is no module.
pub fn laid_out(module: &[u8], passed: &Passed) -> Result<Vec<u8>, Invalid> {
    let (module, order) = order::ordered(module, passed)?;
    let branches: Vec<_> =
        order.iter().map(|old| passed.branches.get(*old).map_or(&[][..], Vec::as_slice)).collect();
    hints::hinted(&module, &branches)
}

/// What a module has of its own.
#[derive(Debug, Default)]
pub struct Shape {
    /// Types of functions.
    pub types: u32,
    /// Functions that the proxy provides: their indices come first.
    pub imported: u32,
    /// Where each function has its branches, `if` and `br_if`: in bytes from the beginning of its body.
    pub functions: Vec<Vec<u32>>,
}

impl Shape {
    /// Reads a module.
    ///
    /// # Errors
    /// If it is none.
    pub fn of(module: &[u8]) -> Result<Self, Invalid> {
        let mut shape = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => shape.types = section.count(),
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        if matches!(import?.ty, TypeRef::Func(_)) {
                            shape.imported += 1;
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let mut branches = Vec::new();
                    let mut operators = body.get_operators_reader()?;
                    while !operators.eof() {
                        let (operator, at) = operators.read_with_offset()?;
                        if is_branch(&operator) {
                            let at = at.saturating_sub(body.range().start);
                            branches.push(u32::try_from(at).unwrap_or(u32::MAX));
                        }
                    }
                    shape.functions.push(branches);
                }
                _ => {}
            }
        }
        Ok(shape)
    }
}

/// Whether a hint can be given for it. `br_table` has none.
fn is_branch(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::If { .. } | Operator::BrIf { .. })
}
