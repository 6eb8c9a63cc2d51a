//! A configuration of many rules, for measuring.

use serde_json::{Value, json};

/// Conditions of every kind in turn, so that a request that fits the last rule has been held against all.
const KINDS: usize = 5;
/// What the rules decide by, in turn.
pub(crate) const STRATEGIES: [&str; 8] = [
    "priority",
    "weighted",
    "least_latency",
    "least_busy",
    "cheapest",
    "carbon",
    "quality",
    "scored",
];

/// So many rules, each with four of so many targets (ten models at each provider); behind them, for each
/// strategy, one rule `all-STRATEGY` for the model of this name with all targets.
pub(crate) fn configuration(rules: usize, targets: usize) -> Value {
    let providers: Vec<Value> = (0..targets.div_ceil(10))
        .map(|number| {
            let protocol = if number.is_multiple_of(2) { "openai" } else { "anthropic" };
            json!({"name": format!("provider-{number}"), "protocol": protocol,
                   "api_key": format!("sk-{number}"), "cluster": format!("cluster-{number}")})
        })
        .collect();
    // Names that the table of models knows and names that it does not.
    let models =
        ["gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro", "own-model", "mistral-large-latest"];
    let target = |number: usize| {
        let model = models.get(number % models.len()).copied().unwrap_or_default();
        let model =
            if number % 10 < 5 { model.to_owned() } else { format!("{model}-{}", number % 10) };
        json!({"provider": format!("provider-{}", number / 10), "model": model,
               "region": if number.is_multiple_of(3) { "eu" } else { "us" }, "weight": number % 7 + 1})
    };
    let some = |rule: usize| -> Vec<Value> {
        (0..4).map(|place| target((rule * 7 + place * 53) % targets)).collect()
    };
    let rule = |number: usize| {
        let when = match number % KINDS {
            0 => json!({"models": [format!("team-{number}-*")]}),
            1 => json!({"consumers": [format!("consumer-{number}")]}),
            2 => json!({"groups": [format!("group-{number}"), "nobody"]}),
            3 => json!({"headers": {"x-team": format!("team-{number}")}, "stream": false}),
            _ => json!({"models": [format!("model-{number}")], "paths": ["/v1/chat/*"]}),
        };
        let strategy = STRATEGIES.get(number % STRATEGIES.len()).copied().unwrap_or_default();
        route(&format!("rule-{number}"), &when, strategy, some(number))
    };
    let mut routes: Vec<Value> = (0..rules).map(rule).collect();
    routes.extend(STRATEGIES.iter().map(|strategy| {
        let name = format!("all-{strategy}");
        let when = json!({"models": [name]});
        route(&name, &when, strategy, (0..targets).map(target).collect())
    }));
    json!({"providers": providers, "routes": routes,
           "carbon": {"regions": {"eu": 200, "us": 400}}})
}

fn route(name: &str, when: &Value, strategy: &str, targets: Vec<Value>) -> Value {
    let weights = if strategy == "scored" { json!({"latency": 1, "cost": 1}) } else { json!({}) };
    json!({"name": name, "when": when, "strategy": strategy, "targets": targets, "weights": weights})
}
