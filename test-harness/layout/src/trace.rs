//! A module that tells what of it is passed.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction,
    MemArg, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, ExportSectionReader, FunctionBody, FunctionSectionReader,
    MemorySectionReader, Parser, Payload, TypeSectionReader,
};

use super::{Invalid, Shape, is_branch};

/// The exported memory, its second, that a traced module writes in; [`Passed::read`] reads it. Numbers of 32 bits:
/// how many functions were called; of each function whether it was the first of those, the second ..., or 0; of each
/// branch how often it was not taken and how often it was. The host may set all of it to 0 again.
pub const TRACE: &str = "trace";

const PAGE: u64 = 65_536;
const NUMBER: u32 = 4;

/// What was passed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passed {
    /// The functions that were called, imported ones not counted, in the order of their first calls.
    pub functions: Vec<usize>,
    /// Of each function, called or not, how often each of its branches was not taken and was.
    pub branches: Vec<Vec<[u64; 2]>>,
}

impl Passed {
    /// What a traced module of this shape has written.
    #[must_use]
    pub fn read(shape: &Shape, trace: &[u8]) -> Self {
        let mut numbers = trace.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        numbers.next();
        let mut functions: Vec<(u32, usize)> = Vec::new();
        for function in 0..shape.functions.len() {
            let when = numbers.next().filter(|when| *when > 0);
            functions.extend(when.map(|when| (when, function)));
        }
        functions.sort_unstable();
        let mut number = || u64::from(numbers.next().unwrap_or(0));
        let count = |branches: &Vec<u32>| branches.iter().map(|_| [number(), number()]).collect();
        let branches = shape.functions.iter().map(count).collect();
        Self { functions: functions.into_iter().map(|(_, function)| function).collect(), branches }
    }

    /// Adds what was passed after it.
    pub fn add(&mut self, later: &Self) {
        for function in &later.functions {
            if !self.functions.contains(function) {
                self.functions.push(*function);
            }
        }
        self.branches.resize(self.branches.len().max(later.branches.len()), Vec::new());
        for (branches, later) in self.branches.iter_mut().zip(&later.branches) {
            branches.resize(branches.len().max(later.len()), [0; 2]);
            for (counts, later) in branches.iter_mut().zip(later) {
                for (count, later) in counts.iter_mut().zip(later) {
                    *count += later;
                }
            }
        }
    }
}

/// The module with [`TRACE`].
///
/// # Errors
/// If it is no module, or one without memory or exports of its own.
pub fn traced(module: &[u8]) -> Result<Vec<u8>, Invalid> {
    let shape = Shape::of(module)?;
    let (mut memories, mut exports) = (0, 0);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::MemorySection(section) => memories = section.count(),
            Payload::ExportSection(section) => exports = section.count(),
            _ => {}
        }
    }
    if memories != 1 || exports == 0 {
        return Err(Invalid("it has no memory or no exports to add to".into()));
    }
    let own = shape.functions.len();
    let branches: usize = shape.functions.iter().map(Vec::len).sum();
    let fits = |number: usize| {
        i32::try_from(number).map_err(|_| Invalid("it has too many branches".into()))
    };
    let enter = shape.imported + fits(own)?.cast_unsigned();
    let mut trace = Trace {
        types: shape.types,
        enter,
        first_branch: NUMBER * (1 + fits(own)?.cast_unsigned()),
        pages: (1 + own + 2 * branches) as u64 * u64::from(NUMBER) / PAGE + 1,
        function: 0,
        branch: 0,
    };
    fits(branches)?;
    let mut out = Module::new();
    trace.parse_core_module(&mut out, Parser::new(0), module)?;
    Ok(out.finish())
}

struct Trace {
    /// How many types it had.
    types: u32,
    /// The function that is called first in each; the one that is called before each branch follows it.
    enter: u32,
    /// Where the branches' numbers begin.
    first_branch: u32,
    pages: u64,
    /// The next function and the next branch.
    function: i32,
    branch: i32,
}

impl Trace {
    /// Takes a function's number: is it the first time?
    fn entering() -> Function {
        let mut function = Function::new([]);
        let when = MemArg { offset: NUMBER.into(), ..number() };
        for instruction in [
            Instruction::LocalGet(0),
            Instruction::I32Const(NUMBER.cast_signed()),
            Instruction::I32Mul,
            Instruction::LocalTee(0),
            Instruction::I32Load(when),
            Instruction::I32Eqz,
            Instruction::If(BlockType::Empty),
            Instruction::LocalGet(0),
            Instruction::I32Const(0),
            Instruction::I32Const(0),
            Instruction::I32Load(number()),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::I32Store(number()),
            Instruction::I32Const(0),
            Instruction::I32Load(number()),
            Instruction::I32Store(when),
            Instruction::End,
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
        function
    }

    /// Takes a branch's condition and number, counts, and gives the condition back.
    fn branching(&self) -> Function {
        let mut function = Function::new([]);
        let count = MemArg { offset: self.first_branch.into(), ..number() };
        for instruction in [
            Instruction::LocalGet(1),
            Instruction::I32Const(2),
            Instruction::I32Mul,
            Instruction::LocalGet(0),
            Instruction::I32Const(0),
            Instruction::I32Ne,
            Instruction::I32Add,
            Instruction::I32Const(NUMBER.cast_signed()),
            Instruction::I32Mul,
            Instruction::LocalTee(1),
            Instruction::LocalGet(1),
            Instruction::I32Load(count),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::I32Store(count),
            Instruction::LocalGet(0),
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
        function
    }
}

/// A number in the second memory.
fn number() -> MemArg {
    MemArg { offset: 0, align: 2, memory_index: 1 }
}

impl Reencode for Trace {
    type Error = Infallible;

    fn parse_type_section(
        &mut self,
        out: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_type_section(self, out, section)?;
        out.ty().function([ValType::I32], []);
        out.ty().function([ValType::I32; 2], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        out: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, out, section)?;
        out.function(self.types);
        out.function(self.types + 1);
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        out: &mut MemorySection,
        section: MemorySectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_memory_section(self, out, section)?;
        out.memory(MemoryType {
            minimum: self.pages,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        out: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_export_section(self, out, section)?;
        out.export(TRACE, ExportKind::Memory, 1);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        out: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, out, section)?;
        out.function(&Self::entering());
        out.function(&self.branching());
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        out: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        function.instruction(&Instruction::I32Const(self.function));
        function.instruction(&Instruction::Call(self.enter));
        self.function += 1;
        let mut instructions = body.get_operators_reader()?;
        while !instructions.eof() {
            if is_branch(&instructions.clone().read()?) {
                function.instruction(&Instruction::I32Const(self.branch));
                function.instruction(&Instruction::Call(self.enter + 1));
                self.branch += 1;
            }
            function.instruction(&self.parse_instruction(&mut instructions)?);
        }
        out.function(&function);
        Ok(())
    }
}
