//! What vectors are for. Models make other vectors of what is searched than of what is searched for.

/// What vectors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Texts that are searched for others.
    Query,
    /// Texts that are searched.
    Document,
    /// To be sorted into classes.
    Classification,
    /// To be grouped.
    Clustering,
    /// To be compared with each other.
    Similarity,
    /// Questions.
    QuestionAnswering,
    /// Statements to be checked.
    FactVerification,
    /// Questions to be answered with code.
    CodeQuery,
}

/// Google's words for them, then Cohere's and Nova's. The latter two tell queries no further apart and
/// have no word for a comparison.
/// <https://ai.google.dev/api/embeddings#TaskType>, <https://docs.cohere.com/reference/embed>,
/// <https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html>
const WORDS: [(Purpose, &str, Option<&str>, Option<&str>); 8] = [
    (Purpose::Query, "RETRIEVAL_QUERY", Some("search_query"), Some("TEXT_RETRIEVAL")),
    (Purpose::Document, "RETRIEVAL_DOCUMENT", Some("search_document"), Some("GENERIC_INDEX")),
    (Purpose::Classification, "CLASSIFICATION", Some("classification"), Some("CLASSIFICATION")),
    (Purpose::Clustering, "CLUSTERING", Some("clustering"), Some("CLUSTERING")),
    (Purpose::Similarity, "SEMANTIC_SIMILARITY", None, None),
    (
        Purpose::QuestionAnswering,
        "QUESTION_ANSWERING",
        Some("search_query"),
        Some("TEXT_RETRIEVAL"),
    ),
    (Purpose::FactVerification, "FACT_VERIFICATION", Some("search_query"), Some("TEXT_RETRIEVAL")),
    (Purpose::CodeQuery, "CODE_RETRIEVAL_QUERY", Some("search_query"), Some("TEXT_RETRIEVAL")),
];

impl Purpose {
    /// What any vendor's word means.
    pub fn of_word(word: &str) -> Option<Purpose> {
        // Voyage's and NVIDIA's words; the rest are the others' in another case.
        match word.to_ascii_lowercase().as_str() {
            "query" => Some(Purpose::Query),
            "document" | "passage" => Some(Purpose::Document),
            lower => {
                let is = |known: &str| known.eq_ignore_ascii_case(lower);
                let found = WORDS
                    .iter()
                    .find(|(_, google, cohere, _)| is(google) || cohere.is_some_and(is));
                found.map(|(purpose, ..)| *purpose)
            }
        }
    }

    /// Google's `taskType`.
    pub fn google(self) -> &'static str {
        self.words().0
    }

    /// Cohere's `input_type`.
    pub fn cohere(self) -> Option<&'static str> {
        self.words().1
    }

    /// Nova's `embeddingPurpose`.
    pub fn nova(self) -> Option<&'static str> {
        self.words().2
    }

    fn words(self) -> (&'static str, Option<&'static str>, Option<&'static str>) {
        let found = WORDS.iter().find(|(purpose, ..)| *purpose == self);
        found.map_or(("", None, None), |(_, google, cohere, nova)| (google, *cohere, *nova))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendors_words_mean_the_same() {
        for (purpose, google, ..) in WORDS {
            assert_eq!(Purpose::of_word(google), Some(purpose));
            assert_eq!(purpose.google(), google);
        }
        for (word, purpose) in [
            ("search_query", Some(Purpose::Query)),
            ("search_document", Some(Purpose::Document)),
            ("passage", Some(Purpose::Document)),
            ("classification", Some(Purpose::Classification)),
            ("image", None),
            ("", None),
        ] {
            assert_eq!(Purpose::of_word(word), purpose, "{word}");
        }
        assert_eq!(Purpose::CodeQuery.cohere(), Some("search_query"));
        assert_eq!(Purpose::Similarity.cohere(), None);
    }
}
