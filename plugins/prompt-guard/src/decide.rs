//! What is decided about a request or an answer, and what the audit says of it.

use shared::audit;
use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{Cx, Flow};
use shared::json::JsonStr;
use shared::protocol::Vendor;
use shared::texts::{Role, Text};

use crate::config::{Action, Uninspected};
use crate::filter::GuardFilter;
use crate::findings::Findings;

/// Why a request is refused.
pub(crate) struct Refusal {
    pub(crate) error: ApiError,
    pub(crate) rule: String,
}

pub(crate) fn refusal(rule: &str, message: &str) -> Refusal {
    let error = ApiError::new(ErrorKind::InvalidRequest, message).code("content_policy_violation");
    Refusal { error, rule: rule.to_owned() }
}

impl GuardFilter {
    /// What becomes of a request in which this was found.
    pub(crate) fn judge(&self, texts: &[Text<'_>], findings: &Findings) -> Result<Action, Refusal> {
        let refuse = |rule: &str, message: &str| Err(refusal(rule, message));
        let limits = &self.policy.limits;
        let (mut turns, mut last) = (0_usize, None);
        for text in texts.iter().filter(|text| text.role == Role::User) {
            turns =
                turns.saturating_add(usize::from(last.replace(text.message) != Some(text.message)));
        }
        if limits.max_turns.is_some_and(|most| turns > usize::try_from(most).unwrap_or(usize::MAX))
        {
            return refuse(
                "max-turns",
                "the conversation has more turns than are allowed; begin a new one",
            );
        }
        let characters = || {
            let of = |text: &Text<'_>| JsonStr::Borrowed(text.raw).decode().chars().count();
            texts.iter().map(of).fold(0, usize::saturating_add)
        };
        if limits.max_characters.is_some_and(|most| characters() > most) {
            return refuse(
                "max-characters",
                "the request has more text than is allowed; send less",
            );
        }
        if findings.denied {
            return refuse("lists", "the request was refused by this gateway's content policy");
        }
        if let Some(kind) = &findings.blocked {
            let message = format!("the request has data that may not be sent ({kind}); remove it");
            return refuse(&format!("pii:{kind}"), &message);
        }
        if findings.foreign {
            return refuse("scripts", "the message is in a script that is not allowed here");
        }
        let mut action = Action::Allow;
        if let Some(rules) = self.policy.fitting(findings).first() {
            if rules.action == Action::Block {
                let message = "the request was refused by this gateway's content policy";
                return refuse(&rules.name, message);
            }
            action = rules.action;
        }
        if findings.score >= self.policy.threshold {
            if self.policy.action == Action::Block {
                let rule = findings.rules.first().map_or("injection", String::as_str);
                return refuse(rule, "the request was refused by this gateway's content policy");
            }
            return Ok(stricter(action, self.policy.action));
        }
        if findings.score >= self.policy.noted {
            return Ok(stricter(action, Action::Log));
        }
        Ok(action)
    }

    /// Writes the line of the audit; `name` is the hash of the text.
    pub(crate) fn audit(
        &self,
        cx: &mut Cx<'_>,
        action: &str,
        findings: &Findings,
        rule: &str,
        name: Option<String>,
    ) {
        let consumer = cx.facts.get(cx.host, Fact::Consumer);
        let more = serde_json::json!({
            "dry_run": self.policy.mode == Mode::DryRun,
            "rule": rule,
            "rules": findings.rules,
            "score": findings.score,
            "entities": findings.kinds,
            "text": name,
        });
        let now = cx.host.now_nanos();
        let line = audit::line(now, "guard", action, consumer.as_deref(), more);
        log::warn!("{line}");
    }

    pub(crate) fn refuse(
        &self,
        cx: &mut Cx<'_>,
        refusal: &Refusal,
        findings: &Findings,
        body: &str,
    ) -> Flow {
        self.refuse_named(cx, refusal, findings, self.policy.audit_name(body))
    }

    /// The same, where the text is not at hand any more.
    pub(crate) fn refuse_named(
        &self,
        cx: &mut Cx<'_>,
        refusal: &Refusal,
        findings: &Findings,
        name: Option<String>,
    ) -> Flow {
        self.audit(cx, "block", findings, &refusal.rule, name);
        if self.policy.mode == Mode::DryRun {
            return Flow::Continue;
        }
        cx.facts.set(cx.host, Fact::Guard, "block");
        cx.facts.set(cx.host, Fact::GuardRules, refusal.rule.clone());
        cx.facts.set(cx.host, Fact::Error, refusal.error.kind.name(Vendor::OpenAi));
        cx.refuse(&refusal.error)
    }

    /// What cannot be looked at is refused, unless it may pass.
    pub(crate) fn uninspected(&self, cx: &mut Cx<'_>, status: ErrorKind, message: &str) -> Flow {
        if self.policy.uninspected == Uninspected::Allow {
            return Flow::Continue;
        }
        let refusal =
            Refusal { error: ApiError::new(status, message), rule: "uninspected".to_owned() };
        self.refuse(cx, &refusal, &Findings::default(), "")
    }

    /// Says what has been found in the answer, once it is over.
    pub(crate) fn judged(&self, cx: &mut Cx<'_>) {
        let seen = self.stream.seen();
        let word = match seen {
            _ if seen.end.is_some() => "block_answer",
            _ if seen.masked => "mask_answer",
            _ if seen.flagged => "flag_answer",
            _ if !seen.rules.is_empty() || !seen.kinds.is_empty() => "log_answer",
            _ => return,
        };
        let rule = seen.end.as_deref().or(seen.rules.first().map(String::as_str));
        let findings = Findings {
            score: seen.score,
            rules: seen.rules.clone(),
            kinds: seen.kinds.clone(),
            ..Findings::default()
        };
        self.audit(cx, word, &findings, rule.unwrap_or_default(), None);
        if !self.enforces() || word == "log_answer" {
            return;
        }
        cx.facts.set(cx.host, Fact::Guard, word);
        if let Some(rule) = rule {
            cx.facts.set(cx.host, Fact::GuardRules, rule);
        }
    }
}

fn stricter(one: Action, other: Action) -> Action {
    if one as u8 <= other as u8 { one } else { other }
}
