//! Tells of budgets: their shares that are passed, and what is foretold of them.

use std::rc::Rc;

use serde_json::json;
use shared::filter::Cx;

use crate::filter::LimitFilter;
use crate::holt_winters::Forecast;

impl LimitFilter {
    /// What budgets will have used when their windows end.
    pub(crate) fn foretell(&mut self, cx: &mut Cx<'_>) {
        let limiter = Rc::clone(&self.limiter);
        // Where the store has not answered nothing is known.
        let seen = self.admitted.lease.as_ref().is_none_or(|lease| lease.at > 0);
        for held in self.admitted.held.iter().filter(|_| seen) {
            let Some(rule) = limiter.rules.get(held.rule) else { continue };
            let Some(warn) = rule.forecast else { continue };
            let (host, standing) = (cx.host, &held.standing);
            let found = limiter.forecasts.see(host, &held.count, standing, held.total, warn);
            let Some(foretold) = found else { continue };
            limiter.count(host, "ai_limit_forecasts_evicted_total", u64::from(foretold.evicted));
            if foretold.end.high == 0.0 {
                continue;
            }
            let share = foretold.end.mean / standing.limit.max(1) as f64;
            // Shares of a limit; what is beyond all measure is the largest.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let permille = (share * 1_000.0) as u64;
            limiter.gauge(
                host,
                &format!("ai_limit_forecast_permille|limit={}", rule.name),
                permille,
            );
            let Forecast { mean, low, high } = foretold.end;
            self.forecasts.push(format!(
                "{};mean={};low={};high={}",
                rule.name,
                rule.shown_part(mean),
                rule.shown_part(low),
                rule.shown_part(high)
            ));
            if share < warn {
                continue;
            }
            self.forecast_warnings.push(rule.name.clone());
            if foretold.tell {
                let name = format!("ai_limit_forecast_passed_total|limit={}", rule.name);
                limiter.count(host, &name, 1);
                let kept = limiter.alerts.as_ref().is_none_or(|alerts| {
                    alerts.push(&json!({
                        "event": "budget_forecast",
                        "rule": rule.name,
                        "key": held.count.splitn(3, ':').nth(2).unwrap_or_default(),
                        "share": warn,
                        "used": rule.shown(standing.used),
                        "forecast": rule.shown_part(mean),
                        "low": rule.shown_part(low),
                        "high": rule.shown_part(high),
                        "limit": rule.shown(standing.limit),
                        "unit": rule.unit,
                        "reset_seconds": standing.reset,
                        "time": host.now_nanos() / 1_000_000_000,
                    }))
                });
                limiter.count(host, "ai_limit_alerts_dropped_total", u64::from(!kept));
            }
        }
    }

    /// Budgets that have passed a share with this request.
    pub(crate) fn alert(&mut self, cx: &mut Cx<'_>) {
        for (rule, share, standing, count) in std::mem::take(&mut self.admitted.passed) {
            let Some(rule) = self.limiter.rules.get(rule) else { continue };
            self.limiter.count(cx.host, &format!("ai_limit_passed_total|limit={}", rule.name), 1);
            let Some(alerts) = &self.limiter.alerts else { continue };
            // The name of a count is its kind, its rule and its key.
            let key = count.splitn(3, ':').nth(2).unwrap_or_default();
            let kept = alerts.push(&json!({
                "event": "budget_threshold",
                "rule": rule.name,
                "key": key,
                "share": share,
                "used": rule.shown(standing.used),
                "limit": rule.shown(standing.limit),
                "unit": rule.unit,
                "reset_seconds": standing.reset,
                "time": cx.host.now_nanos() / 1_000_000_000,
            }));
            if !kept {
                self.limiter.count(cx.host, "ai_limit_alerts_dropped_total", 1);
            }
        }
    }
}
