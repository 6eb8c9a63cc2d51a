//! Which way branches go, told to those who compile the module.

use wasm_encoder::{CustomSection, Encode, Module, RawSection};
use wasmparser::{Parser, Payload};

use super::{Invalid, Shape};

/// One in so many that goes the other way still makes a branch unlikely to go there.
const FEW: u64 = 10;

/// The module with the section `metadata.code.branch_hint`
/// (<https://github.com/WebAssembly/branch-hinting/blob/main/proposals/branch-hinting/Overview.md>), whose hints those
/// who do not know them pass over. `passed` is of each function how often each of its branches was not taken and was.
///
/// # Errors
/// If it is no module.
pub(super) fn hinted(module: &[u8], passed: &[&[[u64; 2]]]) -> Result<Vec<u8>, Invalid> {
    let shape = Shape::of(module)?;
    let mut functions = Vec::new();
    for ((index, branches), counts) in (shape.imported..).zip(&shape.functions).zip(passed) {
        let mut hints = Vec::new();
        for (at, counts) in branches.iter().zip(*counts) {
            hints.extend(likely(*counts).map(|likely| (*at, likely)));
        }
        if !hints.is_empty() {
            functions.push((index, hints));
        }
    }
    let mut data = Vec::new();
    functions.len().encode(&mut data);
    for (index, hints) in functions {
        index.encode(&mut data);
        hints.len().encode(&mut data);
        for (at, likely) in hints {
            at.encode(&mut data);
            // The length of the hint, and the hint.
            data.extend([1, u8::from(likely)]);
        }
    }
    let hints =
        CustomSection { name: "metadata.code.branch_hint".into(), data: data.as_slice().into() };
    let mut out = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if matches!(payload, Payload::CodeSectionStart { .. }) {
            out.section(&hints);
        }
        if let Some((id, range)) = payload.as_section() {
            let data = module.get(range).unwrap_or_default();
            out.section(&RawSection { id, data });
        }
    }
    Ok(out.finish())
}

/// Whether a branch is likely taken, if that can be said.
fn likely([not, taken]: [u64; 2]) -> Option<bool> {
    let few = (not + taken) / FEW;
    match (not <= few, taken <= few) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}
