//! The examples' bootstraps know the metrics' labels and buckets. `UPDATE=1` writes them anew.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use ai_metrics::names::stats_config;

const BEGIN: &str = "# Labels and buckets of ai-metrics, as `make schema` writes them.\n";
const END: &str = "# End of the labels and buckets.\n";

#[test]
fn every_example_with_metrics_has_their_labels_and_buckets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy-examples");
    for file in ["full-chain.yaml", "bundle.yaml"] {
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
