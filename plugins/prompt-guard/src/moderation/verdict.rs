//! What a service says of a text.

use serde_json::Value;

use crate::config::{Moderation, Service};

/// Most categories that are told.
const MAX_NAMES: usize = 8;

/// The categories that are against a text, none if it may pass; `None` if the answer is not understood.
pub(super) fn of(config: &Moderation, answer: &Value) -> Option<Vec<String>> {
    match config.service {
        Service::Openai => openai(config, answer),
        Service::Bedrock => bedrock(answer),
        Service::Aliyun => aliyun(config, answer),
        Service::Tencent => tencent(config, answer),
        Service::Http => http(config, answer),
    }
}

fn openai(config: &Moderation, answer: &Value) -> Option<Vec<String>> {
    let results = answer.get("results")?.as_array().filter(|results| !results.is_empty())?;
    let mut names = Vec::new();
    for result in results {
        let flagged = result.get("flagged")?.as_bool()?;
        if config.thresholds.is_empty() {
            let categories = result.get("categories").and_then(Value::as_object);
            let categories = categories.into_iter().flatten();
            let told = categories.filter(|(_, value)| *value == &Value::Bool(true));
            names.extend(told.map(|(name, _)| name.clone()));
            if flagged && names.is_empty() {
                names.push("flagged".to_owned());
            }
            continue;
        }
        let scores = result.get("category_scores")?.as_object()?;
        for (name, threshold) in &config.thresholds {
            let score = scores.get(name).and_then(Value::as_f64).unwrap_or(0.0);
            if score >= *threshold {
                names.push(name.clone());
            }
        }
    }
    Some(bounded(names))
}

fn bedrock(answer: &Value) -> Option<Vec<String>> {
    match answer.get("action")?.as_str()? {
        "NONE" => Some(Vec::new()),
        "GUARDRAIL_INTERVENED" => {
            let mut names = Vec::new();
            acted(answer.get("assessments").unwrap_or(&Value::Null), &mut names, 0);
            if names.is_empty() {
                names.push("guardrail".to_owned());
            }
            Some(bounded(names))
        }
        _ => None,
    }
}

/// The types and names of what a guardrail has acted on, wherever in an assessment.
fn acted(value: &Value, names: &mut Vec<String>, depth: usize) {
    if depth > 8 {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| acted(item, names, depth + 1)),
        Value::Object(members) => {
            let action = members.get("action").and_then(Value::as_str).unwrap_or("NONE");
            // What a custom word filter matched is the text itself, and is not told.
            let name = members.get("type").or_else(|| members.get("name"));
            if let (true, Some(name)) = (action != "NONE", name.and_then(Value::as_str)) {
                names.push(name.to_owned());
            }
            members.values().for_each(|member| acted(member, names, depth + 1));
        }
        _ => {}
    }
}

fn aliyun(config: &Moderation, answer: &Value) -> Option<Vec<String>> {
    if answer.get("Code")?.as_u64()? != 200 {
        return None;
    }
    let data = answer.get("Data")?;
    let level = data.get("RiskLevel").and_then(Value::as_str)?;
    let told = level == "high" || (config.strict && level == "medium");
    if !told {
        return Some(Vec::new());
    }
    let results = data.get("Result").and_then(Value::as_array);
    let labels = results.into_iter().flatten().filter_map(|result| result.get("Label")?.as_str());
    let mut names: Vec<String> = labels.map(str::to_owned).collect();
    if names.is_empty() {
        names.push(level.to_owned());
    }
    Some(bounded(names))
}

fn tencent(config: &Moderation, answer: &Value) -> Option<Vec<String>> {
    let answer = answer.get("Response")?;
    let suggestion = answer.get("Suggestion")?.as_str()?;
    match suggestion {
        "Block" => {}
        "Review" if config.strict => {}
        "Pass" | "Review" => return Some(Vec::new()),
        _ => return None,
    }
    let label = answer.get("Label").and_then(Value::as_str).unwrap_or(suggestion);
    Some(bounded(vec![label.to_owned()]))
}

fn http(config: &Moderation, answer: &Value) -> Option<Vec<String>> {
    let value = answer.pointer(&config.flagged)?;
    let least = config.thresholds.get("flagged").copied().unwrap_or(0.5);
    let names = match value {
        Value::Bool(flagged) => flagged.then(|| vec!["flagged".to_owned()]),
        Value::Number(score) => (score.as_f64()? >= least).then(|| vec!["flagged".to_owned()]),
        // A list of categories.
        Value::Array(items) => {
            let names = items.iter().filter_map(Value::as_str).map(str::to_owned);
            Some(names.collect())
        }
        _ => return None,
    };
    Some(bounded(names.unwrap_or_default()))
}

/// Short, and few: they go into the log and the facts.
fn bounded(mut names: Vec<String>) -> Vec<String> {
    names.truncate(MAX_NAMES);
    for name in &mut names {
        *name = name.chars().filter(|c| !c.is_control() && *c != ',').take(64).collect();
    }
    names
}
