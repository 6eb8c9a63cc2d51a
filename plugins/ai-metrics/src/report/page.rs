//! The report as a page: tables and plots, without a script and without anything from elsewhere.

use shared::small_map::SmallMap;
use std::fmt::Write as _;

use super::stats::{Figure, Known};
use super::tally::Group;
use super::view::{FIGURES, Named};
use super::{Contents, costs};
use shared::time::written_millis;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;\
padding:0 1rem;color:#1b1f24;background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;\
margin-top:2.2rem}table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.3rem .6rem;\
border-bottom:1px solid #d8dee4;vertical-align:top}th:first-child,td:first-child{text-align:left}\
small{color:#59636e;display:block}.none{color:#59636e}.plots{display:flex;flex-wrap:wrap;gap:1.2rem}\
figure{margin:0}figcaption{font-weight:600;font-size:.9rem}svg text{font-size:12px;fill:currentColor}\
.on{color:#b42318;font-weight:600}@media(prefers-color-scheme:dark){body{background:#0d1117;\
color:#e6edf3}th,td{border-color:#3d444d}small,.none{color:#9198a1}.on{color:#ff7b72}}";

/// The page.
pub fn page(contents: &Contents<'_>) -> String {
    let tally = contents.tally;
    let mut out = String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
    out.push_str(
        "<meta name=\"viewport\" content=\"width=device-width\"><title>AI gateway report</title>",
    );
    let _ = write!(out, "<style>{STYLE}</style><h1>AI gateway report</h1>");
    let since =
        if tally.since == 0 { "no request yet".into() } else { written_millis(tally.since) };
    let _ = write!(
        out,
        "<p>Requests since {since}, as of {}. Each figure is followed by its 95&nbsp;% confidence \
         interval and the number of requests it is made of; fewer than {} are not enough data.</p>",
        written_millis(contents.now),
        contents.min
    );
    compare(&mut out, "Models", &tally.models, contents.min);
    compare(&mut out, "Variants", &tally.variants, contents.min);
    savings(&mut out, &tally.models);
    drift(&mut out, contents);
    accounts(&mut out, contents);
    out.push_str("</html>");
    out
}

fn compare(out: &mut String, title: &str, groups: &SmallMap<String, Group>, min: u64) {
    let _ = write!(out, "<h2>{title}</h2>");
    if groups.is_empty() {
        out.push_str("<p class=\"none\">None yet.</p>");
        return;
    }
    out.push_str("<div class=\"plots\">");
    for figure in &FIGURES {
        plot(out, figure, groups, min);
    }
    out.push_str("</div><table><tr><th>Name<th>Requests");
    for figure in &FIGURES {
        let _ = write!(out, "<th>{}", figure.title);
    }
    for (name, group) in groups {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<small>{} failed, {} refused, {} left</small>",
            escape(name),
            group.requests(),
            group.failed,
            group.refused,
            group.left
        );
        for figure in &FIGURES {
            cell(out, (figure.of)(group, min), figure.places);
        }
    }
    out.push_str("</table>");
}

fn cell(out: &mut String, figure: Figure, places: usize) {
    let _ = match figure.known {
        Some(Known { value, low, high }) => write!(
            out,
            "<td>{value:.places$}<small>{low:.places$} to {high:.places$}, n&nbsp;=&nbsp;{}</small>",
            figure.n
        ),
        None => {
            write!(
                out,
                "<td class=\"none\">not enough data<small>n&nbsp;=&nbsp;{}</small>",
                figure.n
            )
        }
    };
}

/// Pixels of a plot.
const LABELS: f64 = 170.0;
const WIDTH: f64 = 420.0;
const ROW: f64 = 22.0;

/// Most rows of a plot.
const ROWS: usize = 15;

/// A row for each group: a dot for the figure, a line for its interval.
fn plot(out: &mut String, named: &Named, groups: &SmallMap<String, Group>, min: u64) {
    let rows: Vec<_> = groups
        .iter()
        .filter_map(|(name, group)| Some((name, (named.of)(group, min).known?)))
        .take(ROWS)
        .collect();
    let most = rows.iter().map(|(_, known)| known.high).fold(0.0, f64::max);
    if rows.is_empty() || most <= 0.0 {
        return;
    }
    #[allow(clippy::cast_precision_loss)]
    let height = ROW * rows.len() as f64 + 34.0;
    let title = named.title;
    let _ = write!(
        out,
        "<figure><figcaption>{title}</figcaption><svg role=\"img\" aria-label=\"{title}\" \
         width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">"
    );
    let x = |value: f64| LABELS + (WIDTH - LABELS - 12.0) * (value.max(0.0) / most);
    let mut y = 14.0;
    for (name, known) in &rows {
        let (low, high, value) = (x(known.low), x(known.high), x(known.value));
        let label: String = escape(&shorten(name));
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{:.1}\">{label}</text><line x1=\"{low:.1}\" x2=\"{high:.1}\" \
             y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#6e9bd8\" stroke-width=\"5\"/>\
             <circle cx=\"{value:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#1f5fbf\"/>",
            y + 4.0
        );
        y += ROW;
    }
    let places = named.places;
    let _ = write!(
        out,
        "<line x1=\"{LABELS}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"currentColor\"/>\
         <text x=\"{LABELS}\" y=\"{:.1}\">0</text><text x=\"{:.1}\" y=\"{:.1}\" \
         text-anchor=\"end\">{most:.places$}</text></svg></figure>",
        x(most),
        y + 14.0,
        x(most),
        y + 14.0
    );
}

/// The end of a name tells more than its beginning.
fn shorten(name: &str) -> String {
    const MOST: usize = 24;
    let length = name.chars().count();
    if length <= MOST {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length.saturating_sub(MOST)).collect();
    format!("…{end}")
}

fn savings(out: &mut String, models: &SmallMap<String, Group>) {
    out.push_str("<h2>What could be saved</h2>");
    let some = |group: &&Group| group.repeated.count > 0 || !group.cheaper.is_empty();
    if !models.values().any(|group| some(&group)) {
        out.push_str("<p class=\"none\">Nothing found: no repeated prompts, no cheaper model.</p>");
        return;
    }
    out.push_str("<table><tr><th>Model<th>Repeated prompts<th>Their cost, USD<th>Cheaper model<th>Would save, USD");
    for (name, group) in models.iter().filter(|(_, group)| some(group)) {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}",
            escape(name),
            group.repeated.count,
            costs::dollars(group.repeated.nano_usd)
        );
        let best = group.cheaper.iter().max_by_key(|(_, sum)| sum.nano_usd);
        let _ = match best {
            Some((model, sum)) => write!(
                out,
                "<td>{}<small>for {} requests</small><td>{}",
                escape(model),
                sum.count,
                costs::dollars(sum.nano_usd)
            ),
            None => write!(out, "<td class=\"none\">none<td>"),
        };
    }
    out.push_str("</table>");
}

fn drift(out: &mut String, contents: &Contents<'_>) {
    out.push_str("<h2>Drift</h2><p>A score of 1 is drift; it stays marked until it is reset.</p>");
    let mut shown: Vec<_> = contents.drift.iter().filter(|s| s.active || s.score >= 0.1).collect();
    if shown.is_empty() {
        out.push_str("<p class=\"none\">None.</p>");
        return;
    }
    shared::sort::by(&mut shown, |a, b| (b.active, b.score) < (a.active, a.score));
    out.push_str("<table><tr><th>Where<th>What<th>Score<th>Drifted");
    for standing in shown {
        let state = if standing.active { "<td class=\"on\">yes" } else { "<td>no" };
        let (subject, signal, score) = (escape(&standing.subject), standing.signal, standing.score);
        let _ = write!(out, "<tr><td>{subject}<td>{signal}<td>{score:.2}{state}");
    }
    out.push_str("</table>");
}

fn accounts(out: &mut String, contents: &Contents<'_>) {
    out.push_str("<h2>Costs</h2><table><tr><th>Team<th>Consumer<th>Model<th>Requests<th>Input tokens<th>Output tokens<th>Cost, USD");
    for row in costs::json(contents.tally).as_array().into_iter().flatten() {
        let text = |name: &str| {
            let value = row.get(name);
            escape(value.and_then(|v| v.as_str()).unwrap_or_default())
        };
        let number = |name: &str| row.get(name).map(ToString::to_string).unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}/{}<td>{}<td>{}<td>{}<td>{}",
            text("team"),
            text("consumer"),
            text("provider"),
            text("model"),
            number("requests"),
            number("input_tokens"),
            number("output_tokens"),
            text("cost_usd")
        );
    }
    out.push_str("</table>");
}

/// Names come from configurations and providers; none of them is markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
