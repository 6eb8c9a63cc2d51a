//! Requests for vectors of texts, as clients send them. Of answers no more is read than
//! [some values](crate::pick).

use serde_json::value::RawValue;

use super::gemini::{Content, List};
use crate::json::JsonStr;
use crate::view::view;

view! {
    /// What a client of OpenAI's asks for,
    /// <https://platform.openai.com/docs/api-reference/embeddings/create>. The last fields are of
    /// vendors that took the protocol over.
    pub struct Request<'a> {
        /// The model.
        model: JsonStr<'a>,
        /// A text, a list of texts, a list of tokens or a list of such lists.
        input: &'a RawValue,
        /// How many numbers a vector is to have.
        dimensions: u64,
        /// `float` or `base64`.
        encoding_format: JsonStr<'a>,
        /// Who asks.
        user: JsonStr<'a>,
        /// What the vectors are for, as Cohere, Voyage or NVIDIA call it.
        input_type: JsonStr<'a>,
        /// The same, as Google calls it.
        task_type = "task_type" | "taskType": JsonStr<'a>,
        /// The document's title.
        title: JsonStr<'a>,
        /// Whether a text that is too long is cut, as Google has it.
        auto_truncate = "auto_truncate" | "autoTruncate": bool,
        /// The same, as Cohere has it: `NONE`, `START` or `END`.
        truncate: JsonStr<'a>,
    }
}

view! {
    /// What a client of Gemini's asks for with `embedContent` or `batchEmbedContents`, or one of the
    /// latter's requests, <https://ai.google.dev/api/embeddings>.
    pub struct GeminiRequest<'a> {
        /// The model, which stands in the path too.
        model: JsonStr<'a>,
        /// Of `batchEmbedContents`: requests of this form.
        requests: List<'a>,
        /// What a vector is wanted of.
        content: Content<'a>,
        /// What the vector is for.
        task_type = "taskType" | "task_type": JsonStr<'a>,
        /// The document's title.
        title: JsonStr<'a>,
        /// How many numbers the vector is to have.
        output_dimensionality = "outputDimensionality" | "output_dimensionality": u64,
        /// Whether a text that is too long is cut.
        auto_truncate = "autoTruncate" | "auto_truncate": bool,
        /// Vertex AI's newer place for the last four.
        config = "embedContentConfig" | "embed_content_config": Box<GeminiRequest<'a>>,
    }
}
