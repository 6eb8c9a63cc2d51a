//! `guard detect [--profile strict|balanced|low-false-alarm]`: adds `score`, `verdict` and `rules`.

use prompt_guard::detect::{Detector, Profile, Verdict};
use serde_json::json;

/// Runs it on standard input.
pub fn run(args: &[&str]) -> Result<(), String> {
    let profile = match args {
        [] => Profile::default(),
        ["--profile", name] => profile(name)?,
        _ => return Err("usage: guard detect [--profile NAME]".into()),
    };
    let detector = Detector::new();
    crate::each_line(|text, row| {
        let verdict = detector.detect(text);
        row.insert("score".into(), json!(verdict.score));
        row.insert("verdict".into(), word(profile, &verdict).into());
        row.insert("rules".into(), json!(verdict.rules));
    })
}

/// The profile of this name.
pub fn profile(name: &str) -> Result<Profile, String> {
    match name {
        "strict" => Ok(Profile::Strict),
        "balanced" => Ok(Profile::Balanced),
        "low-false-alarm" => Ok(Profile::LowFalseAlarm),
        _ => Err(format!("there is no profile {name}: strict, balanced or low-false-alarm")),
    }
}

/// What a profile makes of a verdict.
pub fn word(profile: Profile, verdict: &Verdict) -> &'static str {
    match verdict.score {
        score if score >= profile.block() => "block",
        score if score >= profile.flag() => "flag",
        _ => "allow",
    }
}
