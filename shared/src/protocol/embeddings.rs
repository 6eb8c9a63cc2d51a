//! Vectors of texts, in each vendor's form.
//!
//! A vector stays as it stands in its document: a gateway has no business with its numbers.

use serde_json::value::RawValue;

use super::gemini::{Content, List, Usage as GeminiUsage};
use super::openai_chat::Usage as OpenAiUsage;
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
    /// The answer.
    pub struct Response<'a> {
        /// The vectors, in any order.
        data: Vec<Datum<'a>>,
        /// The model that made them.
        model: JsonStr<'a>,
        /// The token counts.
        usage: OpenAiUsage<'a>,
    }
}

view! {
    /// One vector.
    pub struct Datum<'a> {
        /// Which text it is of.
        index: usize,
        /// Its numbers; a string if Base64 was asked for.
        embedding: &'a RawValue,
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

view! {
    /// The answer to `embedContent`, `batchEmbedContents` or, on Vertex AI, `predict`,
    /// <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.
    pub struct GoogleResponse<'a> {
        /// Of `embedContent`.
        embedding: Vector<'a>,
        /// Of `batchEmbedContents`.
        embeddings: Vec<Vector<'a>>,
        /// Of `predict`.
        predictions: Vec<Prediction<'a>>,
        /// The token counts; not of `predict`.
        usage = "usageMetadata" | "usage_metadata": GeminiUsage<'a>,
    }
}

view! {
    /// One vector.
    pub struct Vector<'a> {
        /// Its numbers.
        values: &'a RawValue,
        /// Of `predict`.
        statistics: Statistics<'a>,
    }
}

view! {
    /// One of the answers of `predict`.
    pub struct Prediction<'a> {
        /// The vector.
        embeddings: Vector<'a>,
    }
}

view! {
    /// What `predict` counted.
    pub struct Statistics<'a> {
        /// Tokens; some models give it as a decimal.
        token_count: f64,
    }
}

view! {
    /// The answer of Amazon's models,
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
    /// <https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html>.
    pub struct AmazonResponse<'a> {
        /// Titan's vector.
        embedding: &'a RawValue,
        /// Titan's count of tokens.
        input_text_token_count = "inputTextTokenCount": u64,
        /// Nova's vectors, one of each kind that was asked for.
        embeddings: Vec<NovaVector<'a>>,
    }
}

view! {
    /// One of Nova's vectors.
    pub struct NovaVector<'a> {
        /// Its numbers.
        embedding: &'a RawValue,
    }
}

view! {
    /// Cohere's answer, <https://docs.cohere.com/reference/embed>; on Bedrock without the counts,
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v3.html>.
    pub struct CohereResponse<'a> {
        /// A list of vectors, or if their type was named [`ByType`].
        embeddings: &'a RawValue,
        /// What was paid for.
        meta: Meta<'a>,
    }
}

view! {
    /// Vectors by the type of their numbers.
    pub struct ByType<'a> {
        /// Plain ones.
        float: Vec<&'a RawValue>,
    }
}

view! {
    /// What is said about Cohere's answer.
    pub struct Meta<'a> {
        /// What was paid for.
        billed_units: super::cohere::Tokens<'a>,
    }
}
