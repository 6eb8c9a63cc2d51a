//! A module that tells which of its functions were called.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType,
    Instruction, Module, ValType,
};
use wasmparser::{ExportSectionReader, FunctionBody, GlobalSectionReader, Parser, Payload};

use super::{Functions, Invalid};

/// The exported global that counts the functions that were called.
pub const CLOCK: &str = "called";

/// The exported global of the function with this index, imported ones not counted: 1 if it was the first of all that
/// were called, 2 if the second, 0 if it was not called.
#[must_use]
pub fn tracer(function: usize) -> String {
    format!("{CLOCK} {function}")
}

/// The module with [`CLOCK`] and a [`tracer`] of each of its own functions, which the host may set to 0 again.
///
/// # Errors
/// If it is no module, or one without globals.
pub fn traced(module: &[u8]) -> Result<Vec<u8>, Invalid> {
    let functions = Functions::read(module)?.names.len();
    let mut globals = None;
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::GlobalSection(section) = payload? {
            globals = Some(section.count());
        }
    }
    let clock = globals.ok_or_else(|| Invalid("it has no globals to add to".into()))?;
    let mut trace = Trace { clock, functions, next: clock };
    let mut out = Module::new();
    trace.parse_core_module(&mut out, Parser::new(0), module)?;
    Ok(out.finish())
}

struct Trace {
    /// The index of [`CLOCK`]; the functions' follow it.
    clock: u32,
    functions: usize,
    /// The global of the function that was read last.
    next: u32,
}

impl Reencode for Trace {
    type Error = Infallible;

    fn parse_global_section(
        &mut self,
        out: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        wasm_encoder::reencode::utils::parse_global_section(self, out, section)?;
        for _ in 0..=self.functions {
            let counter = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
            out.global(counter, &ConstExpr::i32_const(0));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        out: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        wasm_encoder::reencode::utils::parse_export_section(self, out, section)?;
        out.export(CLOCK, ExportKind::Global, self.clock);
        for (index, global) in (0..self.functions).zip(self.clock + 1..) {
            out.export(&tracer(index), ExportKind::Global, global);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        out: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        self.next += 1;
        let mut function = self.new_function_with_parsed_locals(&body)?;
        for instruction in [
            Instruction::GlobalGet(self.next),
            Instruction::I32Eqz,
            Instruction::If(BlockType::Empty),
            Instruction::GlobalGet(self.clock),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::GlobalSet(self.clock),
            Instruction::GlobalGet(self.clock),
            Instruction::GlobalSet(self.next),
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
        let mut instructions = body.get_operators_reader()?;
        while !instructions.eof() {
            function.instruction(&self.parse_instruction(&mut instructions)?);
        }
        out.function(&function);
        Ok(())
    }
}
