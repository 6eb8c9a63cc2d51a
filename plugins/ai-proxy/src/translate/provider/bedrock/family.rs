//! Whose model it is: Converse is one form for all, but some of what it carries is only for some.

/// Whose model it is, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's Claude.
    Claude,
    /// Amazon's Nova of the first generation.
    Nova,
    /// Amazon's Nova from the second generation on, which can think.
    Nova2,
    /// OpenAI's models with open weights.
    OpenAi,
    /// Another's, or nobody knows whose: the ARN of an application inference profile or of a custom
    /// model does not tell.
    Other,
}

impl Family {
    /// By the model's id, which may have a region before it (`us.anthropic.claude-...`) or stand in an
    /// ARN.
    pub(super) fn of(model: &str) -> Family {
        let is = |word: &str| model.contains(word);
        if is("anthropic.") || is("claude") {
            Family::Claude
        } else if is("amazon.nova-2") {
            Family::Nova2
        } else if is("amazon.nova") {
            Family::Nova
        } else if is("openai.") {
            Family::OpenAi
        } else {
            Family::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_tells_wherever_it_stands() {
        for (model, family) in [
            ("anthropic.claude-sonnet-4-20250514-v1:0", Family::Claude),
            ("global.anthropic.claude-sonnet-4-20250514-v1:0", Family::Claude),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-v1:0",
                Family::Claude,
            ),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova2),
            ("amazon.nova-pro-v1:0", Family::Nova),
            ("openai.gpt-oss-120b-1:0", Family::OpenAi),
            ("meta.llama3-70b-instruct-v1:0", Family::Other),
            (
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
                Family::Other,
            ),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
