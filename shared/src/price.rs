//! What answers cost.

use std::cell::RefCell;

use crate::config::{ConfigError, Setting};
use crate::models;
use crate::usage::Usage;

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The model as the provider knows it, or the beginning of its name and `*`.
    pub model: String,
    /// The provider, if the price is not everybody's.
    #[serde(default)]
    pub provider: Option<String>,
    /// Of input.
    pub input: f64,
    /// Of output.
    pub output: f64,
    /// Of input from the provider's cache; as other input unless said.
    #[serde(default)]
    pub cached: Option<f64>,
    /// Of input written to the provider's cache; as other input unless said.
    #[serde(default)]
    pub cache_write: Option<f64>,
    /// What it costs instead where the prompt is long.
    #[serde(default)]
    pub long_context: Vec<LongContext>,
    /// Whether it is to be considered where the report says what a cheaper model would save.
    #[serde(default)]
    pub alternative: bool,
    /// What it can do, of `tools`, `vision` and `json_schema`. A request that needs more is not counted
    /// as one that this model could serve.
    #[serde(default)]
    pub can: Vec<String>,
}

/// Prices of requests with a long prompt, all their tokens. Those of the provider's cache rise in the
/// measure in which input does, as they do at the vendors that have such prices.
#[derive(Clone, Copy, Debug, PartialEq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LongContext {
    /// Of prompts of more tokens than these, those from the cache included.
    pub above: u64,
    /// Of input.
    pub input: f64,
    /// Of output.
    pub output: f64,
}

/// Checks a list of these: from few tokens to many, which makes the last that applies the right one.
pub fn check_long(list: &[LongContext], path: &str) -> Result<(), ConfigError> {
    let mut before = 0;
    for (index, long) in list.iter().enumerate() {
        let bad = |field: &str, message: &str| {
            Err(ConfigError::new(format!("{path}.long_context[{index}].{field}"), message))
        };
        if long.above <= before {
            return bad("above", "must be above 0, and above that of the entry before");
        }
        before = long.above;
        for (field, amount) in [("input", long.input), ("output", long.output)] {
            if !(0.0..=MOST).contains(&amount) {
                return bad(field, AMOUNT);
            }
        }
    }
    Ok(())
}

/// Of these, which are sorted, the one for a prompt of so many tokens.
pub fn long(list: &[LongContext], prompt: u64) -> Option<&LongContext> {
    list.iter().rev().find(|long| prompt > long.above)
}

/// Most US dollars per million tokens.
const MOST: f64 = 1_000_000.0;
const AMOUNT: &str = "must be a number of US dollars per million tokens, 0 or more";

/// What a request needs of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// To call tools.
    pub tools: bool,
    /// To see pictures.
    pub vision: bool,
    /// To answer by a JSON schema.
    pub schema: bool,
}

/// Prices of models, ready to be looked up.
#[derive(Debug, Default)]
pub struct Prices {
    list: Vec<Entry>,
    /// What is commonly known of the model that was asked for last: a request asks several times.
    last: RefCell<Option<(String, Option<Entry>)>>,
}

/// One model's price.
#[derive(Debug)]
struct Entry {
    model: String,
    wild: bool,
    provider: Option<String>,
    rates: Rates,
    long: Vec<(LongContext, Rates)>,
    alternative: bool,
    tools: bool,
    vision: bool,
    schema: bool,
}

/// In billionths of a US dollar per thousand tokens, which is exact for prices of whole millionths of a
/// dollar per million tokens.
#[derive(Clone, Copy, Debug)]
struct Rates {
    input: u64,
    output: u64,
    cached: u64,
    cache_write: u64,
}

/// A cheaper model that could have served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative<'a> {
    /// Its name.
    pub model: &'a str,
    /// What the same tokens cost there, in billionths of a US dollar.
    pub cost: u64,
}

impl Prices {
    /// Checks a list of prices.
    pub fn new(prices: Vec<Price>) -> Result<Prices, ConfigError> {
        let mut list = Vec::new();
        for (index, price) in prices.into_iter().enumerate() {
            list.push(entry(price, &format!("prices[{index}]"))?);
        }
        // Exact names first, then the longest beginnings.
        crate::sort::by_key(&mut list, |entry: &Entry| {
            (entry.wild, entry.provider.is_none(), std::cmp::Reverse(entry.model.len()))
        });
        Ok(Prices { list, last: RefCell::default() })
    }

    /// What these tokens cost, in billionths of a US dollar: by the list, else by what is commonly
    /// known; `None` if the model has no price.
    pub fn cost(&self, provider: &str, model: &str, usage: &Usage) -> Option<u64> {
        let entry = self.list.iter().find(|entry| {
            entry.names(model) && entry.provider.as_ref().is_none_or(|named| named == provider)
        });
        match entry {
            Some(entry) => Some(entry.cost(usage)),
            None => self.known(model, usage),
        }
    }

    fn known(&self, model: &str, usage: &Usage) -> Option<u64> {
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|(name, _)| name != model) {
            let found = models::find(model).and_then(|model| entry_of(model.price));
            *last = Some((model.to_owned(), found));
        }
        let (_, entry) = last.as_ref()?;
        Some(entry.as_ref()?.cost(usage))
    }

    /// The cheapest of the alternatives that could serve this request for less than `cost`.
    pub fn cheaper(&self, cost: u64, usage: &Usage, needs: Needs) -> Option<Alternative<'_>> {
        let able = self.list.iter().filter(|entry| {
            entry.alternative
                && (entry.tools || !needs.tools)
                && (entry.vision || !needs.vision)
                && (entry.schema || !needs.schema)
        });
        let costs = able.map(|entry| Alternative { model: &entry.model, cost: entry.cost(usage) });
        costs.min_by_key(|found| found.cost).filter(|found| found.cost < cost)
    }
}

impl Entry {
    fn names(&self, model: &str) -> bool {
        if self.wild { model.starts_with(&self.model) } else { model == self.model }
    }

    fn cost(&self, usage: &Usage) -> u64 {
        let long = self.long.iter().rev().find(|(long, _)| usage.prompt_tokens > long.above);
        let rates = long.map_or(&self.rates, |(_, rates)| rates);
        let special = usage.cached_tokens.saturating_add(usage.cache_creation_tokens);
        let parts = [
            (usage.prompt_tokens.saturating_sub(special), rates.input),
            (usage.cached_tokens, rates.cached),
            (usage.cache_creation_tokens, rates.cache_write),
            (usage.completion_tokens, rates.output),
        ];
        let thousandths = parts
            .into_iter()
            .map(|(tokens, price)| u128::from(tokens).saturating_mul(u128::from(price)))
            .fold(0, u128::saturating_add);
        u64::try_from(thousandths / 1000).unwrap_or(u64::MAX)
    }
}

impl Rates {
    /// Those of a long prompt.
    fn at(&self, long: &LongContext) -> Rates {
        let input = rate(long.input);
        let in_measure = |price: u64| match self.input {
            0 => price,
            usual => u64::try_from(u128::from(price) * u128::from(input) / u128::from(usual))
                .unwrap_or(u64::MAX),
        };
        Rates {
            input,
            output: rate(long.output),
            cached: in_measure(self.cached),
            cache_write: in_measure(self.cache_write),
        }
    }
}

/// Dollars per million tokens are thousands of billionths per token.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rate(dollars: f64) -> u64 {
    (dollars * 1_000_000.0).round() as u64
}

/// The table has no mistakes.
fn entry_of(price: Price) -> Option<Entry> {
    entry(price, "").ok()
}

fn entry(price: Price, path: &str) -> Result<Entry, ConfigError> {
    let amount = |name: &str, dollars: f64| {
        if !(0.0..=MOST).contains(&dollars) {
            return Err(ConfigError::new(format!("{path}.{name}"), AMOUNT));
        }
        Ok(rate(dollars))
    };
    let (model, wild) = match price.model.strip_suffix('*') {
        Some(prefix) => (prefix.to_owned(), true),
        None => (price.model.clone(), false),
    };
    if model.is_empty() && !wild {
        return Err(ConfigError::new(format!("{path}.model"), "give the model's name"));
    }
    if wild && price.alternative {
        let message = "must be one model's name, since it is to be used instead of others";
        return Err(ConfigError::new(format!("{path}.model"), message));
    }
    for (index, able) in price.can.iter().enumerate() {
        if !["tools", "vision", "json_schema"].contains(&able.as_str()) {
            let message = "expected tools, vision or json_schema";
            return Err(ConfigError::new(format!("{path}.can[{index}]"), message));
        }
    }
    let able = |name: &str| price.can.iter().any(|can| can == name);
    let input = amount("input", price.input)?;
    let rates = Rates {
        input,
        output: amount("output", price.output)?,
        cached: price.cached.map_or(Ok(input), |cached| amount("cached", cached))?,
        cache_write: price.cache_write.map_or(Ok(input), |write| amount("cache_write", write))?,
    };
    check_long(&price.long_context, path)?;
    let long = price.long_context.into_iter().map(|long| (long, rates.at(&long))).collect();
    Ok(Entry {
        model,
        wild,
        rates,
        long,
        alternative: price.alternative,
        tools: able("tools"),
        vision: able("vision"),
        schema: able("json_schema"),
        provider: price.provider,
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn prices(text: &str) -> Result<Prices, ConfigError> {
        Prices::new(crate::config::document(text).unwrap())
    }

    const LIST: &str = r#"[
        {"model":"gpt-*","input":1,"output":2},
        {"model":"gpt-5","input":1.25,"output":10,"cached":0.125},
        {"model":"gpt-5","provider":"azure","input":2,"output":20},
        {"model":"small","input":0.05,"output":0.4,"alternative":true,"can":["tools"]},
        {"model":"large","input":0.5,"output":4,"alternative":true,"can":["tools","vision"]}
    ]"#;

    fn used(prompt: u64, cached: u64, completion: u64) -> Usage {
        Usage {
            prompt_tokens: prompt,
            cached_tokens: cached,
            completion_tokens: completion,
            ..Usage::default()
        }
    }

    #[test]
    fn cost_is_exact_to_the_billionth() {
        let prices = prices(LIST).unwrap();
        // 900 at 1.25, 100 at 0.125 and 10 at 10 dollars per million.
        let cost = prices.cost("openai", "gpt-5", &used(1000, 100, 10)).unwrap();
        assert_eq!(cost, 900 * 1250 + 100 * 125 + 10 * 10_000);
        assert_eq!(prices.cost("azure", "gpt-5", &used(1, 0, 0)), Some(2000));
        assert_eq!(prices.cost("openai", "gpt-4.1", &used(1, 0, 0)), Some(1000));
        assert_eq!(prices.cost("openai", "o3", &used(1, 0, 0)), Some(2000), "commonly known");
        assert_eq!(prices.cost("openai", "my-own", &used(1, 0, 0)), None);
    }

    #[test]
    fn a_long_prompt_costs_more_by_the_list_and_by_what_is_commonly_known() {
        let prices = prices(
            r#"[{"model":"own","input":2,"output":8,"cached":0.5,"long_context":[
                {"above":100,"input":4,"output":9},{"above":1000,"input":6,"output":10}]},
                {"model":"grok-4.5","input":1,"output":1}]"#,
        )
        .unwrap();
        let cost = |model: &str, usage: Usage| prices.cost("p", model, &usage).unwrap();
        assert_eq!(cost("own", used(100, 0, 1)), 100 * 2000 + 8000);
        assert_eq!(cost("own", used(101, 0, 1)), 101 * 4000 + 9000);
        assert_eq!(cost("own", used(1001, 1000, 1)), 6000 + 1000 * 1500 + 10_000, "cached");
        // Of the table: 1.25, 10 and 0.125 dollars, above 200,000 tokens 2.5, 15 and 0.25.
        let gemini = |usage| cost("gemini-2.5-pro", usage);
        assert_eq!(gemini(used(200_000, 0, 1)), 200_000 * 1250 + 10_000);
        assert_eq!(gemini(used(200_001, 100_000, 1)), 100_001 * 2500 + 100_000 * 250 + 15_000);
        assert_eq!(cost("claude-sonnet-4-5", used(200_001, 0, 0)), 200_001 * 6000);
        assert_eq!(cost("gpt-5.5", used(272_001, 0, 0)), 272_001 * 10_000);
        // A price that is configured holds as it is, for every length.
        assert_eq!(cost("grok-4.5", used(300_000, 0, 0)), 300_000 * 1000);
    }

    #[test]
    fn a_cheaper_model_must_be_able_to_do_it() {
        let prices = prices(LIST).unwrap();
        let asked = Needs { tools: true, ..Needs::default() };
        let cheaper = prices.cheaper(1_000_000, &used(1000, 0, 0), asked).unwrap();
        assert_eq!(cheaper, Alternative { model: "small", cost: 50_000 });
        let picture = Needs { vision: true, ..Needs::default() };
        assert_eq!(prices.cheaper(1_000_000, &used(1000, 0, 0), picture).unwrap().model, "large");
        let schema = Needs { schema: true, ..Needs::default() };
        assert_eq!(prices.cheaper(1_000_000, &used(1000, 0, 0), schema), None);
        assert_eq!(prices.cheaper(50_000, &used(1000, 0, 0), asked), None);
    }

    #[test]
    fn a_price_that_makes_no_sense_is_refused_with_its_place() {
        for (text, place) in [
            (r#"[{"model":"a","input":-1,"output":0}]"#, "prices[0].input"),
            (r#"[{"model":"a","input":1,"output":1,"can":["dance"]}]"#, "prices[0].can[0]"),
            (r#"[{"model":"a*","input":1,"output":1,"alternative":true}]"#, "prices[0].model"),
            (r#"[{"model":"","input":1,"output":1}]"#, "prices[0].model"),
            (
                r#"[{"model":"a","input":1,"output":1,"long_context":[{"above":0,"input":1,"output":1}]}]"#,
                "prices[0].long_context[0].above",
            ),
            (
                r#"[{"model":"a","input":1,"output":1,"long_context":[{"above":5,"input":1,"output":1},
                    {"above":5,"input":1,"output":1}]}]"#,
                "prices[0].long_context[1].above",
            ),
            (
                r#"[{"model":"a","input":1,"output":1,"long_context":[{"above":5,"input":1,"output":-1}]}]"#,
                "prices[0].long_context[0].output",
            ),
        ] {
            assert_eq!(prices(text).unwrap_err().path, place);
        }
    }
}
