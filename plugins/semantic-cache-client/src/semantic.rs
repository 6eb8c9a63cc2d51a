//! The parts of the comparison of questions, configured.

use shared::config::ConfigError;

use crate::config::{self, Config};
use crate::embed::Embedding;
use crate::judge::Judge;
use crate::vector::RemoteVectors;
use crate::vector::local::LocalVectors;

/// What compares questions.
#[derive(Debug)]
pub struct Semantic {
    /// Makes vectors.
    pub embedding: Embedding,
    /// Has vectors.
    pub vectors: Vectors,
    /// Looks again.
    pub judge: Option<Judge>,
}

/// Where vectors are.
#[derive(Debug)]
pub enum Vectors {
    /// In the proxy's memory.
    Local(LocalVectors),
    /// In a store that is asked over HTTP.
    Remote(RemoteVectors),
}

impl Semantic {
    /// Checks a configuration; `None` if questions are not compared.
    pub fn new(config: &Config) -> Result<Option<Semantic>, ConfigError> {
        let Some(semantic) = &config.semantic else { return Ok(None) };
        let vectors = match RemoteVectors::new(&semantic.store)? {
            Some(remote) => Vectors::Remote(remote),
            None => Vectors::Local(LocalVectors::new(max_vectors(&semantic.store)?)),
        };
        let judge = semantic.judge.as_ref().map(Judge::new).transpose()?;
        Ok(Some(Semantic { embedding: Embedding::new(&semantic.embedder)?, vectors, judge }))
    }
}

fn max_vectors(store: &config::VectorStore) -> Result<u32, ConfigError> {
    let most = store.max_vectors.0;
    if !(1..=65_536).contains(&most) {
        return Err(ConfigError::new("semantic.store.max_vectors", "must be from 1 to 65536"));
    }
    Ok(most)
}
