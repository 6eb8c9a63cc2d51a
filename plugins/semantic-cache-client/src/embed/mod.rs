//! Vectors of questions, from embedders. One file for each API: the request, and where in the answer the
//! vector stands.

mod cohere;
mod dashscope;
mod gemini;
mod ollama;
mod openai;
mod tei;

use shared::config::ConfigError;

use crate::config::{Embedder, EmbedderKind};
use crate::remote::{KeyStyle, Remote, Request};

/// Most numbers of a vector.
const MAX_DIMENSIONS: usize = 4_096;

/// What an API needs to know.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) dimensions: Option<u32>,
}

/// An embedder.
#[derive(Debug)]
pub struct Embedding {
    kind: EmbedderKind,
    model: Model,
    /// Where it is.
    pub remote: Remote,
}

impl Embedding {
    /// Checks a configuration.
    pub fn new(config: &Embedder) -> Result<Embedding, ConfigError> {
        let bad = |field: &str, message: &str| {
            Err(ConfigError::new(format!("semantic.embedder.{field}"), message))
        };
        if config.model.is_empty() && config.kind != EmbedderKind::Tei {
            return bad("model", "name the model");
        }
        let plain =
            |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:".contains(&b));
        if config.kind == EmbedderKind::Gemini && !plain(&config.model) {
            return bad("model", "must be a model's name, as `gemini-embedding-001`");
        }
        let style = match config.kind {
            EmbedderKind::Gemini => KeyStyle::Header("x-goog-api-key"),
            _ => KeyStyle::Bearer,
        };
        let remote = Remote::new(config.service.clone(), style, "semantic.embedder.service")?;
        let model = Model { name: config.model.clone(), dimensions: config.dimensions };
        Ok(Embedding { kind: config.kind, model, remote })
    }

    /// The request for a question's vector.
    pub fn request(&self, question: &str) -> Request {
        match self.kind {
            EmbedderKind::Openai => openai::request(&self.model, question),
            EmbedderKind::Ollama => ollama::request(&self.model, question),
            EmbedderKind::Tei => tei::request(question),
            EmbedderKind::Cohere => cohere::request(&self.model, question),
            EmbedderKind::Gemini => gemini::request(&self.model, question),
            EmbedderKind::Dashscope => dashscope::request(&self.model, question),
        }
    }

    /// The vector in an answer, made to have the length 1.
    pub fn read(&self, body: &[u8]) -> Option<Vec<f32>> {
        let answer = shared::json::tree_of(body)?;
        let place = match self.kind {
            EmbedderKind::Openai => openai::PLACE,
            EmbedderKind::Ollama => ollama::PLACE,
            EmbedderKind::Tei => tei::PLACE,
            EmbedderKind::Cohere => cohere::PLACE,
            EmbedderKind::Gemini => gemini::PLACE,
            EmbedderKind::Dashscope => dashscope::PLACE,
        };
        let list = answer.pointer(place)?.as_array()?;
        if list.is_empty() || list.len() > MAX_DIMENSIONS {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)]
        let vector: Option<Vec<f32>> = list.iter().map(|x| x.as_f64().map(|x| x as f32)).collect();
        normal(vector?)
    }
}

/// A vector of the length 1 in the same direction.
pub fn normal(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !length.is_finite() || length <= f32::EPSILON {
        return None;
    }
    vector.iter_mut().for_each(|x| *x /= length);
    Some(vector)
}

#[cfg(test)]
mod tests;
