//! What each team, consumer and model has used, as CSV and JSON.

use serde_json::{Value, json};

use super::tally::{Account, PART, Tally};

const COLUMNS: &str = "team,consumer,provider,model,requests,estimated_requests,unpriced_requests,\
                       input_tokens,cached_tokens,output_tokens,cost_usd\n";

/// A line for each team, consumer and model, the dearest first.
pub fn csv(tally: &Tally) -> String {
    let mut out = String::from(COLUMNS);
    for (names, account) in sorted(tally) {
        for name in names {
            out.push_str(&cell(name));
            out.push(',');
        }
        let Account { requests, estimated, unpriced, input, cached, output, nano_usd } = account;
        out.push_str(&format!(
            "{requests},{estimated},{unpriced},{input},{cached},{output},{}\n",
            dollars(nano_usd)
        ));
    }
    out
}

/// The same as JSON.
pub fn json(tally: &Tally) -> Value {
    let accounts = sorted(tally).into_iter().map(|([team, consumer, provider, model], account)| {
        json!({
            "team": team,
            "consumer": consumer,
            "provider": provider,
            "model": model,
            "requests": account.requests,
            "estimated_requests": account.estimated,
            "unpriced_requests": account.unpriced,
            "input_tokens": account.input,
            "cached_tokens": account.cached,
            "output_tokens": account.output,
            "cost_nano_usd": account.nano_usd,
            "cost_usd": dollars(account.nano_usd),
        })
    });
    Value::Array(accounts.collect())
}

fn sorted(tally: &Tally) -> Vec<([&str; 4], Account)> {
    let mut all: Vec<_> = tally
        .accounts
        .iter()
        .map(|(key, account)| {
            let mut parts = key.split(PART);
            let mut part = || parts.next().unwrap_or(crate::labels::OTHER);
            ([part(), part(), part(), part()], *account)
        })
        .collect();
    let spent = |account: &Account| (account.nano_usd, account.requests);
    shared::sort::by(&mut all, |(_, a), (_, b)| spent(b) < spent(a));
    all
}

/// Exact: 9 places.
pub(super) fn dollars(nano: u64) -> String {
    format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000)
}

/// A value between quotes where it needs them. What a spreadsheet would take for a formula begins with
/// an apostrophe. <https://owasp.org/www-community/attacks/CSV_Injection>
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_comes_first_and_nothing_is_a_formula() {
        let mut tally = Tally::default();
        let key = |parts: [&str; 4]| parts.join(&PART.to_string());
        let account = Account { requests: 2, input: 10, nano_usd: 1, ..Account::default() };
        tally.accounts.insert(key(["a", "=1+1", "o", "gpt"]), account);
        let account = Account { requests: 1, nano_usd: 2_500_000_000, ..Account::default() };
        tally.accounts.insert(key(["b,\"c\"", "d", "o", "gpt"]), account);
        let csv = csv(&tally);
        let lines: Vec<_> = csv.lines().skip(1).collect();
        assert_eq!(lines[0], r#""b,""c""",d,o,gpt,1,0,0,0,0,0,2.500000000"#);
        assert_eq!(lines[1], r#"a,"'=1+1",o,gpt,2,0,0,10,0,0,0.000000001"#);
        assert_eq!(json(&tally)[1]["cost_nano_usd"], 1);
    }
}
