//! `make tokens-eval [DATA=folder]`: how far `shared::tokens` is from OpenAI's o200k_base.
//!
//! Without a folder it reads the texts of this repository; a folder has `english`, `chinese`, `code` and
//! `json`, or any others, each with files of that kind. Files are cut into texts of 200 tokens and more.
//! Ends with 1 if a kind is off by more than 8 % on average or 20 % at the 95th percentile.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use shared::tokens;
use tiktoken_rs::CoreBPE;

/// Characters of a text; the next one begins where it ends.
const SIZES: [usize; 4] = [900, 1_500, 3_000, 6_000];
/// Fewest tokens of a text that counts.
const FEWEST: usize = 200;
/// Most texts of a file, so that none outweighs the others.
const MOST: usize = 40;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let bpe = tiktoken_rs::o200k_base()?;
    let kinds = match std::env::args().nth(1).filter(|folder| !folder.is_empty()) {
        Some(folder) => folders(Path::new(&folder))?,
        None => of_this_repository()?,
    };
    let mut good = true;
    println!("| Texts | number | tokens | mean error | 95th percentile | all together |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (kind, files) in kinds {
        let mut figures = Figures::default();
        for file in files {
            // What is no text is left out.
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            figures.add(&bpe, &text);
        }
        good &= figures.print(&kind);
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default)]
struct Figures {
    errors: Vec<f64>,
    real: u64,
    estimated: u64,
}

impl Figures {
    fn add(&mut self, bpe: &CoreBPE, text: &str) {
        let chars: Vec<char> = text.chars().collect();
        let mut from = 0;
        for turn in 0..MOST {
            let size = SIZES[turn % SIZES.len()];
            let Some(piece) = chars.get(from..chars.len().min(from + size)) else { return };
            if piece.is_empty() {
                return;
            }
            from += piece.len();
            let piece: String = piece.iter().collect();
            let real = bpe.encode_ordinary(&piece).len();
            if real < FEWEST {
                continue;
            }
            let estimated = tokens::estimate(&piece);
            self.errors.push((estimated as f64 / real as f64 - 1.0).abs());
            self.real += real as u64;
            self.estimated += estimated;
        }
    }

    /// Whether it is as near as promised.
    fn print(&mut self, kind: &str) -> bool {
        if self.errors.is_empty() {
            println!("| {kind} | 0 | | | | |");
            return true;
        }
        self.errors.sort_by(f64::total_cmp);
        let number = self.errors.len();
        let mean = self.errors.iter().sum::<f64>() / number as f64;
        let late = self.errors[(number * 95 / 100).min(number - 1)];
        let all = self.estimated as f64 / self.real as f64 - 1.0;
        println!(
            "| {kind} | {number} | {} | {:.1} % | {:.1} % | {:+.1} % |",
            self.real,
            mean * 100.0,
            late * 100.0,
            all * 100.0
        );
        mean <= 0.08 && late <= 0.20
    }
}

type Kinds = Vec<(String, Vec<PathBuf>)>;

fn folders(folder: &Path) -> Result<Kinds, Box<dyn Error>> {
    let mut kinds = Kinds::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().is_dir() {
            let mut files = Vec::new();
            walk(&entry.path(), &mut files)?;
            kinds.push((entry.file_name().to_string_lossy().into_owned(), files));
        }
    }
    kinds.sort();
    Ok(kinds)
}

fn of_this_repository() -> Result<Kinds, Box<dyn Error>> {
    let mut files = Vec::new();
    for folder in ["README.md", "README.zh-CN.md", "docs", "shared", "plugins", "test-harness"] {
        walk(Path::new(folder), &mut files)?;
    }
    let ends = |file: &Path, ends: &[&str]| {
        let name = file.to_string_lossy();
        ends.iter().any(|end| name.ends_with(end))
    };
    let of = |wanted: &dyn Fn(&Path) -> bool| -> Vec<PathBuf> {
        files.iter().filter(|file| wanted(file)).cloned().collect()
    };
    Ok(vec![
        ("english".into(), of(&|f| ends(f, &[".md"]) && !ends(f, &["zh-CN.md"]))),
        ("chinese".into(), of(&|f| ends(f, &["zh-CN.md"]))),
        ("code".into(), of(&|f| ends(f, &[".rs", ".py", ".lua", ".sh"]))),
        ("json".into(), of(&|f| ends(f, &[".json"]))),
    ])
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let name = entry.file_name();
        if name != "target" && name != "__pycache__" && name != "node_modules" {
            walk(&entry.path(), files)?;
        }
    }
    Ok(())
}
