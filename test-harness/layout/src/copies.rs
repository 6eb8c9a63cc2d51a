//! Memory that a module copies itself.
//!
//! V8 makes no code of `memory.copy`: each place where it stands becomes a hundred bytes that put away everything at hand
//! and call a function of the proxy's. Most copies are of a few bytes. A function of the module's own makes those with
//! two to four loads and as many stores, and a call of it takes a third of the bytes.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, Instruction, MemArg, Module, TypeSection,
    ValType,
};
use wasmparser::{
    CodeSectionReader, FunctionBody, FunctionSectionReader, Operator, Parser, TypeSectionReader,
};

use super::{Invalid, Shape};

/// The module with a function that copies what is short, called instead of each `memory.copy`.
///
/// # Errors
/// If it is no module.
pub fn copying(module: &[u8]) -> Result<Vec<u8>, Invalid> {
    let shape = Shape::of(module)?;
    let own = shape.functions.len();
    let own = u32::try_from(own).map_err(|_| Invalid("it has too many functions".into()))?;
    let mut copies = Copies { types: shape.types, copy: shape.imported + own };
    let mut out = Module::new();
    copies.parse_core_module(&mut out, Parser::new(0), module)?;
    Ok(out.finish())
}

struct Copies {
    /// How many types it had.
    types: u32,
    /// The function that copies.
    copy: u32,
}

// Its parameters, those of `memory.copy`.
const TO: Instruction<'_> = Instruction::LocalGet(0);
const FROM: Instruction<'_> = Instruction::LocalGet(1);
const COUNT: Instruction<'_> = Instruction::LocalGet(2);

type Access = fn(MemArg) -> Instruction<'static>;

/// How pieces are copied that have at least so many bytes and fewer than in the line above: so many from the beginning
/// on and as many up to the end, some of which may be the same ones, by loads and stores of this kind at these places.
const WAYS: [(i32, i32, Access, Access, &[u64]); 6] = [
    (33, 32, Instruction::V128Load, Instruction::V128Store, &[0, 16]),
    (16, 16, Instruction::V128Load, Instruction::V128Store, &[0]),
    (8, 8, Instruction::I64Load, Instruction::I64Store, &[0]),
    (4, 4, Instruction::I32Load, Instruction::I32Store, &[0]),
    (2, 2, Instruction::I32Load16U, Instruction::I32Store16, &[0]),
    (1, 1, Instruction::I32Load8U, Instruction::I32Store8, &[0]),
];

/// What is longer is left to `memory.copy`.
const LONGEST: i32 = 64;

/// The function that copies.
fn copy() -> Function {
    let mut code = vec![
        COUNT,
        Instruction::I32Const(LONGEST),
        Instruction::I32GtU,
        Instruction::If(BlockType::Empty),
        TO,
        FROM,
        COUNT,
        Instruction::MemoryCopy { src_mem: 0, dst_mem: 0 },
        Instruction::Return,
        Instruction::End,
    ];
    for (least, bytes, load, store, offsets) in WAYS {
        code.extend([COUNT, Instruction::I32Const(least), Instruction::I32GeU]);
        code.push(Instruction::If(BlockType::Empty));
        let at = |offset: &u64| MemArg { offset: *offset, align: 0, memory_index: 0 };
        // All is loaded before anything is stored, as the two pieces may overlap: where it goes and what it is stay on
        // the stack, and are taken from there in the opposite order.
        for offset in offsets {
            code.extend([TO, FROM, load(at(offset))]);
        }
        let before_end =
            [COUNT, Instruction::I32Add, Instruction::I32Const(bytes), Instruction::I32Sub];
        for offset in offsets {
            for piece in [TO, FROM] {
                code.push(piece);
                code.extend(before_end.clone());
            }
            code.push(load(at(offset)));
        }
        code.extend(offsets.iter().chain(offsets).rev().map(|offset| store(at(offset))));
        code.extend([Instruction::Return, Instruction::End]);
    }
    code.push(Instruction::End);
    let mut function = Function::new([]);
    for instruction in &code {
        function.instruction(instruction);
    }
    function
}

impl Reencode for Copies {
    type Error = Infallible;

    fn parse_type_section(
        &mut self,
        out: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_type_section(self, out, section)?;
        out.ty().function([ValType::I32; 3], []);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        out: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, out, section)?;
        out.function(self.types);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        out: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, out, section)?;
        out.function(&copy());
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        out: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut instructions = body.get_operators_reader()?;
        while !instructions.eof() {
            let of = instructions.clone().read()?;
            let instruction = self.parse_instruction(&mut instructions)?;
            function.instruction(&match of {
                Operator::MemoryCopy { .. } => Instruction::Call(self.copy),
                _ => instruction,
            });
        }
        out.function(&function);
        Ok(())
    }
}
