//! Features of Anthropic's API that a client chooses by name (`anthropic-beta`), as Amazon takes them: in
//! the body, and no others than it knows; one that it does not know makes it refuse the request.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>

use super::bedrock;
use crate::config::Protocol;
use crate::provider::Cloud;

/// What InvokeModel knows and Converse, whose own words replace these fields, does not.
const INVOKED: [&str; 8] = [
    "compact-2026-01-12",
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-management-2025-06-27",
    "fine-grained-tool-streaming-2025-05-14",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
];

/// What both know.
const KNOWN: [&str; 6] = [
    "context-1m-2025-08-07",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "token-efficient-tools-2025-02-19",
];

/// Anthropic's one name for what Amazon has two for.
const TOOLS: (&str, [&str; 2]) =
    ("advanced-tool-use-2025-11-20", ["tool-search-tool-2025-10-19", "tool-examples-2025-10-29"]);

/// Those of a header's names that go into the body, and those that are left out. Both are empty where no
/// names go into bodies.
pub fn sort<'n>(
    protocol: Protocol,
    cloud: Cloud,
    model: &str,
    names: &'n str,
) -> (Vec<&'n str>, Vec<&'n str>) {
    let invoked = protocol == Protocol::Anthropic && cloud == Cloud::Bedrock;
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    let conversed = protocol == Protocol::Bedrock && bedrock::is_claude_or_nova(model).0;
    if names.is_empty() || !invoked && !conversed {
        return (taken, left_out);
    }
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if KNOWN.contains(&name) || invoked && INVOKED.contains(&name) {
            taken.push(name);
        } else if invoked && name == TOOLS.0 {
            taken.extend(TOOLS.1);
        } else {
            left_out.push(name);
        }
    }
    (taken, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_gets_the_names_that_it_knows() {
        let sent = "claude-code-20250219, context-1m-2025-08-07,,tool-examples-2025-10-29";
        let claude = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let of = |protocol, cloud, model| sort(protocol, cloud, model, sent);
        assert_eq!(
            of(Protocol::Anthropic, Cloud::Bedrock, claude),
            (
                vec!["context-1m-2025-08-07", "tool-examples-2025-10-29"],
                vec!["claude-code-20250219"]
            )
        );
        assert_eq!(
            of(Protocol::Bedrock, Cloud::Own, claude),
            (
                vec!["context-1m-2025-08-07"],
                vec!["claude-code-20250219", "tool-examples-2025-10-29"]
            )
        );
        for (protocol, cloud, model) in [
            (Protocol::Bedrock, Cloud::Own, "amazon.nova-pro-v1:0"),
            (Protocol::Anthropic, Cloud::Own, "claude-sonnet-4-5"),
            (Protocol::Openai, Cloud::Own, "gpt-5"),
        ] {
            assert_eq!(of(protocol, cloud, model), (vec![], vec![]), "{model}");
        }
    }

    #[test]
    fn one_name_of_anthropics_is_two_of_amazons() {
        let (taken, left) =
            sort(Protocol::Anthropic, Cloud::Bedrock, "x", "advanced-tool-use-2025-11-20");
        assert_eq!((taken, left), (TOOLS.1.to_vec(), vec![]));
    }
}
