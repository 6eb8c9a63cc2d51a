//! The examples' bootstraps know the metrics' labels and buckets, and the documentation lists the metrics
//! and the fields of the access log. `UPDATE=1` writes them anew.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use ai_metrics::access_log::FIELDS;
use ai_metrics::names::{ALL, stats_config};

const BEGIN: &str = "# Labels and buckets of ai-metrics, as `make schema` writes them.\n";
const END: &str = "# End of the labels and buckets.\n";

#[test]
fn every_example_with_metrics_has_their_labels_and_buckets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy-examples");
    for file in ["full-chain/envoy.yaml", "bundle/envoy.yaml"] {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let section = format!("{BEGIN}{}{END}", stats_config());
        if std::env::var_os("UPDATE").is_some() {
            let (before, rest) = text
                .split_once(BEGIN)
                .unwrap_or_else(|| text.split_once("\nstatic_resources:").unwrap());
            let after = match rest.split_once(END) {
                Some((_, after)) => after.to_owned(),
                None => format!("\nstatic_resources:{rest}"),
            };
            std::fs::write(&path, format!("{before}{section}{after}")).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&section), "{file} is out of date; run `make schema`");
    }
}

#[test]
fn the_documentation_lists_every_metric_and_every_field() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ai-metrics.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    let mut metrics =
        String::from("| metric | kind | labels | what |\n| --- | --- | --- | --- |\n");
    for metric in ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| label.name()).collect();
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let (name, help, labels) = (metric.name, metric.help.trim(), labels.join(", "));
        metrics.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    let fields: Vec<_> = FIELDS.iter().map(|(name, _)| format!("`{name}`")).collect();
    for (name, list) in [("metrics", metrics), ("fields", format!("{}\n", fields.join(", ")))] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
        let (before, rest) = text.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        let section = format!("{before}{begin}{list}{end}{after}");
        if std::env::var_os("UPDATE").is_some() {
            text = section;
            std::fs::write(&path, &text).unwrap();
        } else {
            assert!(text == section, "the list of {name} is out of date; run `make schema`");
        }
    }
}
