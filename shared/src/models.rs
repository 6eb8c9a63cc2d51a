//! What is commonly known of models: how much they take, what they cost, what they can do.
//!
//! A default for what a configuration does not say. Prices move: those here are the list prices of the
//! models' own vendors, as of November 2026, else of a cloud that serves them.

use crate::price::{LongContext, Price};

/// What Amazon's models have before their name, by where they are served. They cost a tenth more in some.
const REGIONS: [&str; 9] = ["us", "eu", "apac", "global", "jp", "au", "ca", "in", "us-gov"];

/// One line a model, sorted by name.
const TABLE: &str = include_str!("models.tsv");

/// A model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name at its vendor.
    pub name: &'static str,
    /// Who makes or serves it.
    pub vendor: &'static str,
    /// Most tokens of prompt and answer.
    pub context: Option<u64>,
    /// Most tokens of an answer.
    pub max_output: Option<u64>,
    /// Whether it thinks before it answers.
    pub reasoning: bool,
    /// What it costs.
    pub price: Price,
}

impl Model {
    /// Whether its weights are served by many, so that what is known of it holds for one of them only.
    pub fn is_anywhere(&self) -> bool {
        matches!(self.vendor, "fireworks" | "together")
    }
}

/// A model by its name, as any provider has it: without the vendor's and region's prefixes
/// (`us.anthropic.claude-...-v1:0`, `openai/gpt-4o`), and without its date if only the undated one is
/// known.
pub fn find(name: &str) -> Option<Model> {
    let lower = name.to_ascii_lowercase();
    let bare = lower.rsplit('/').next().unwrap_or(&lower);
    let bare = match bare.split_once('.') {
        Some((region, rest)) if REGIONS.contains(&region) => rest,
        _ => bare,
    };
    let undotted = bare.rsplit("anthropic.").next().unwrap_or(bare);
    let unversioned = undotted.split(['@', ':']).next().unwrap_or(undotted);
    let unversioned = unversioned.strip_suffix("-v1").unwrap_or(unversioned);
    let candidates = [lower.as_str(), bare, undotted, unversioned];
    candidates.into_iter().find_map(exact).or_else(|| exact(undated(unversioned)?))
}

/// A name without `-2024-08-06`, `-20250929`, `-latest` or `-0324` at its end.
fn undated(name: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(name) = name.strip_suffix("-latest") {
        return Some(name);
    }
    let (rest, last) = name.rsplit_once('-')?;
    match last.len() {
        8 | 4 if digits(last) => Some(rest),
        2 if digits(last) => {
            let (rest, month) = rest.rsplit_once('-')?;
            let (rest, year) = rest.rsplit_once('-')?;
            (digits(month) && digits(year) && year.len() == 4).then_some(rest)
        }
        _ => None,
    }
}

fn exact(name: &str) -> Option<Model> {
    // A binary search over lines that start where they start: nothing is prepared or kept.
    let (mut low, mut high) = (0, TABLE.len());
    while low < high {
        let middle = low.midpoint(high);
        let start = TABLE.get(..middle)?.rfind('\n').map_or(0, |at| at + 1).max(low);
        let end = TABLE.get(start..)?.find('\n').map_or(TABLE.len(), |at| start + at);
        let line = TABLE.get(start..end)?;
        let found = line.split('\t').next()?;
        match found.cmp(name) {
            std::cmp::Ordering::Equal => return read(line),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

fn read(line: &'static str) -> Option<Model> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let (name, vendor) = (next()?, next()?);
    let (context, max_output) = (next()?.parse().ok(), next()?.parse().ok());
    let (input, output) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let (cached, cache_write) = (next()?.parse().ok(), next()?.parse().ok());
    let can = next()?;
    let long_context = next().into_iter().flat_map(|list| list.split(',')).filter_map(tier);
    let reasoning = can.contains('r');
    let can = [('t', "tools"), ('v', "vision"), ('j', "json_schema")]
        .into_iter()
        .filter(|(letter, _)| can.contains(*letter))
        .map(|(_, name)| name.to_owned());
    let price = Price {
        model: name.to_owned(),
        provider: None,
        input,
        output,
        cached,
        cache_write,
        long_context: long_context.collect(),
        alternative: false,
        can: can.collect(),
    };
    Some(Model { name, vendor, context, max_output, reasoning, price })
}

/// `200000:2.5:15`: above so many tokens, input, output.
fn tier(text: &str) -> Option<LongContext> {
    let mut fields = text.split(':');
    let above = fields.next()?.parse().ok()?;
    let (input, output) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(LongContext { above, input, output })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn every_line_is_found_and_can_be_read() {
        let lines: Vec<&str> = TABLE.lines().collect();
        assert!(lines.is_sorted(), "the search needs an order");
        let models = lines.iter().filter(|line| !line.starts_with('#'));
        for line in models {
            let name = line.split('\t').next().unwrap();
            let model = exact(name).unwrap_or_else(|| panic!("{name}"));
            assert!(model.price.input >= 0.0 && model.price.output >= 0.0, "{name}");
            let tiers = line.split('\t').nth(9).map_or(0, |tiers| tiers.split(',').count());
            assert_eq!(model.price.long_context.len(), tiers, "{name}");
            assert!(crate::price::check_long(&model.price.long_context, "").is_ok(), "{name}");
        }
        assert_eq!(exact("no-such-model"), None);
        assert_eq!(exact(""), None);
    }

    #[test]
    fn names_of_other_providers_are_those_of_the_vendor() {
        for (name, vendors) in [
            ("gpt-4o", "gpt-4o"),
            ("openai/gpt-4o", "gpt-4o"),
            ("gpt-4o-2099-08-06", "gpt-4o"),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001"),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
            ("GPT-4o", "gpt-4o"),
            ("eu.amazon.nova-pro-v1:0", "amazon.nova-pro"),
            ("accounts/fireworks/models/deepseek-r1", "deepseek-r1"),
        ] {
            assert_eq!(find(name).map(|model| model.name), Some(vendors), "{name}");
        }
        assert_eq!(find("my-own-model"), None);
    }
}
