//! Differences that are as they should be, each with the document that says so.

use serde::Deserialize;

use crate::diff::Difference;

/// One accepted difference, or several of one cause.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adjudication {
    /// `requests/completions/full.anthropic`
    pub(crate) case: String,
    /// The places, each with all that is below it.
    pub(crate) fields: Vec<String>,
    /// Places of the request (`/n`, `/messages/0`) without which it is compared, because our gateway
    /// refuses it with them. The refusal itself is a difference, at `refused`.
    #[serde(default)]
    pub(crate) without: Vec<String>,
    /// Why ours is right.
    pub(crate) reason: String,
    /// The vendor's document. What somebody has found out and told in an issue is none.
    pub(crate) document: String,
}

/// Reads the list.
pub(crate) fn read(text: &str) -> Result<Vec<Adjudication>, String> {
    let list: Vec<Adjudication> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for one in &list {
        let url = one.document.starts_with("https://") && !one.document.contains("/issues/");
        if one.fields.is_empty() || one.reason.is_empty() || !url {
            return Err(format!("{}: give fields, a reason and the document's address", one.case));
        }
    }
    Ok(list)
}

/// What remains of the differences of a case, and what is wrong with its adjudications.
pub(crate) fn settle(
    differences: Vec<Difference>,
    adjudications: &[&Adjudication],
) -> (Vec<Difference>, Vec<String>) {
    let fields = || adjudications.iter().flat_map(|one| &one.fields);
    let idle = fields().filter(|field| !differences.iter().any(|one| covers(field, &one.path)));
    let mut stale: Vec<String> = idle.map(|field| format!("{field} does not differ")).collect();
    let open = |one: &Difference| !fields().any(|field| covers(field, &one.path));
    let open: Vec<_> = differences.into_iter().filter(open).collect();
    if !adjudications.is_empty() && !open.is_empty() {
        stale.push("it does not cover all that differs".into());
    }
    (open, stale)
}

fn covers(field: &str, path: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(fields: &[&str]) -> Adjudication {
        Adjudication {
            case: "a".into(),
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            without: Vec::new(),
            reason: "because".into(),
            document: "https://example.com".into(),
        }
    }

    fn difference(path: &str) -> Difference {
        Difference { path: path.into(), ours: None, theirs: None }
    }

    #[test]
    fn a_field_covers_what_is_below_it() {
        let differences = vec![difference("a.b[0].c"), difference("d")];
        let (open, stale) = settle(differences.clone(), &[&one(&["a.b"]), &one(&["d"])]);
        assert_eq!((open, stale), (vec![], vec![]));
        let (open, stale) = settle(differences, &[&one(&["a", "dd"])]);
        assert_eq!(open, [difference("d")]);
        assert_eq!(stale, ["dd does not differ", "it does not cover all that differs"]);
    }

    #[test]
    fn without_a_difference_it_is_stale() {
        assert_eq!(settle(vec![], &[&one(&["a"])]), (vec![], vec!["a does not differ".into()]));
        assert_eq!(settle(vec![difference("a")], &[]), (vec![difference("a")], vec![]));
    }

    #[test]
    fn our_own_list_can_be_read() {
        assert!(!read(crate::ADJUDICATIONS).unwrap().is_empty());
    }

    #[test]
    fn the_list_must_be_complete() {
        let text = r#"[{"case":"a","fields":["b"],"reason":"c","document":"https://d"}]"#;
        assert_eq!(read(text).unwrap().len(), 1);
        assert!(read(&text.replace("https://d", "somewhere")).is_err());
        assert!(read(&text.replace(r#"["b"]"#, "[]")).is_err());
    }
}
