//! Where a module's functions are.
//!
//! A proxy compiles functions one after another, in the module's order, and of the bundle's 6,000 an exchange
//! passes 1,000, which the linker strews over all of the code. Put next to each other they are in two thirds of the
//! pages of memory, and an exchange takes less time (`docs/performance.md`).
//!
//! [`ordered`] does that with a list of names. [`traced`] makes a module that tells which functions were called,
//! which is how the list is made (`make layout`).

mod order;
mod trace;

use std::collections::HashMap;

use wasmparser::{BinaryReaderError, KnownCustom, Name, Parser, Payload, TypeRef};

pub use order::ordered;
pub use trace::{CLOCK, traced, tracer};

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

/// The functions of a module that has their names.
#[derive(Debug, Default)]
pub struct Functions {
    /// Functions that the proxy provides: their indices come first.
    pub imported: u32,
    /// The names of the module's own, as they are in the source: without what the compiler adds to
    /// tell crates of one name apart, which changes with its version. Empty if unknown.
    pub names: Vec<String>,
}

impl Functions {
    /// Reads a module.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(module: &[u8]) -> Result<Self, Invalid> {
        let mut found = Self::default();
        let mut names = HashMap::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        if matches!(import?.ty, TypeRef::Func(_)) {
                            found.imported += 1;
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    found.names = vec![String::new(); section.count() as usize];
                }
                Payload::CustomSection(section) => {
                    let KnownCustom::Name(subsections) = section.as_known() else { continue };
                    for subsection in subsections {
                        let Name::Function(map) = subsection? else { continue };
                        for naming in map {
                            let naming = naming?;
                            names.insert(naming.index, plain(naming.name));
                        }
                    }
                }
                _ => {}
            }
        }
        for (index, name) in (found.imported..).zip(&mut found.names) {
            *name = names.remove(&index).unwrap_or_default();
        }
        Ok(found)
    }
}

/// A function's name without the hashes of its crates.
fn plain(mangled: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(mangled))
}
