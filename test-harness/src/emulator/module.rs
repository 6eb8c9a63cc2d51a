//! Loading: one engine for the process, each module compiled once.

use std::path::Path;
use std::sync::OnceLock;

use wasmtime::{Config, Engine, ExternType, FuncType, OptLevel, ValType};

/// A compiled plugin. Cloning is cheap; start as many [`Vm`](super::Vm)s of it as wanted.
#[derive(Clone)]
pub struct Module {
    pub(crate) compiled: wasmtime::Module,
    name: String,
}

/// Why a module could not be loaded or started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(pub(crate) String);

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

impl Module {
    /// Compiles a `.wasm` file.
    ///
    /// # Errors
    /// If the file cannot be read or is no valid module.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|e| LoadError(format!("{}: {e}", path.display())))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::compile(&name, &bytes)
    }

    /// Compiles a module in binary form.
    ///
    /// # Errors
    /// If the bytes are no valid module.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::compile("plugin", bytes)
    }

    /// Compiles a module in text form.
    ///
    /// # Errors
    /// If the text is no valid module.
    pub fn from_wat(text: &str) -> Result<Self, LoadError> {
        Self::compile("plugin", text.as_bytes())
    }

    /// The file's name without its extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every import: from which module, its name, and its signature (`(ii)->(i)` for a function of
    /// two i32 that returns one; l is i64, f f32, d f64).
    pub fn imports(&self) -> Vec<(String, String, String)> {
        let own = |i: wasmtime::ImportType<'_>| {
            (i.module().to_string(), i.name().to_string(), signature(&i.ty()))
        };
        self.compiled.imports().map(own).collect()
    }

    /// The name of every export.
    pub fn exports(&self) -> Vec<String> {
        self.compiled.exports().map(|e| e.name().to_string()).collect()
    }

    /// Compiles a module that [`layout::traced`] has changed: it has a second memory, as no host allows.
    ///
    /// # Errors
    /// If the bytes are no valid module.
    pub fn traced(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::with_memories("traced plugin", bytes, 2)
    }

    fn compile(name: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        Self::with_memories(name, bytes, 1)
    }

    fn with_memories(name: &str, bytes: &[u8], memories: u32) -> Result<Self, LoadError> {
        let compiled = wasmtime::Module::new(engine(), bytes)
            .map_err(|e| LoadError(format!("{name} is no valid module: {e:?}")))?;
        if compiled.resources_required().num_memories > memories {
            return Err(LoadError(format!("{name} is no valid module: multiple memories")));
        }
        Ok(Self { compiled, name: name.to_string() })
    }
}

pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.consume_fuel(true);
        // Tests run each module for milliseconds: compiling fast matters more than running fast.
        config.cranelift_opt_level(OptLevel::None);
        // What the older wasmtime inside APISIX does not know.
        config.wasm_tail_call(false);
        // Nor does it know more than one memory; those have to be counted, as traced modules have two.
        config.wasm_multi_memory(true);
        config.wasm_memory64(false);
        config.wasm_relaxed_simd(false);
        Engine::new(&config).expect("this engine configuration is valid")
    })
}

fn signature(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(f) => function_signature(f),
        other => format!("{other:?}"),
    }
}

fn function_signature(f: &FuncType) -> String {
    let letter = |ty: ValType| match ty {
        ValType::I32 => 'i',
        ValType::I64 => 'l',
        ValType::F32 => 'f',
        ValType::F64 => 'd',
        _ => '?',
    };
    let params: String = f.params().map(letter).collect();
    let results: String = f.results().map(letter).collect();
    format!("({params})->({results})")
}
