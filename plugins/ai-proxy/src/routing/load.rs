//! What self-hosted servers say of their load, and which of a target's servers is least loaded.
//!
//! vLLM: <https://docs.vllm.ai/en/latest/usage/metrics.html>. SGLang:
//! <https://docs.sglang.ai/references/production_metrics.html>.

use std::cell::Cell;

use super::config::Endpoint;

/// How long what a server has said counts, in nanoseconds.
const FRESH: u64 = 10_000_000_000;

/// How much a full KV cache weighs, in requests: beyond it requests are preempted and start again.
const CACHE_WEIGHT: f64 = 10.0;

/// One server of a target.
#[derive(Debug)]
pub struct Server {
    /// `ip:port`, as Envoy's cluster knows it; empty for a target of one server.
    pub address: String,
    /// What it has said, and when.
    told: Cell<Option<(Load, u64)>>,
    /// Requests sent there since.
    sent: Cell<u32>,
}

/// A server's load.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Requests that wait.
    pub waiting: f64,
    /// Requests under way.
    pub running: f64,
    /// How full the KV cache is, 0 to 1.
    pub cache: f64,
}

impl Load {
    /// Reads Prometheus text; none if it has no metric that is known.
    pub fn read(text: &str) -> Option<Load> {
        let mut load = Load::default();
        let mut known = false;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let sum = match name {
                "vllm:num_requests_waiting" | "sglang:num_queue_reqs" => &mut load.waiting,
                "vllm:num_requests_running" | "sglang:num_running_reqs" => &mut load.running,
                "vllm:kv_cache_usage_perc" | "vllm:gpu_cache_usage_perc" | "sglang:token_usage" => {
                    // Of several engines the fullest; the others add up.
                    let value = value(line)?;
                    load.cache = load.cache.max(value);
                    known = true;
                    continue;
                }
                _ => continue,
            };
            *sum += value(line)?;
            known = true;
        }
        known.then_some(load)
    }

    /// How busy that is, in requests.
    fn busy(&self) -> f64 {
        // One that waits is worse than one under way.
        self.running + 2.0 * self.waiting + CACHE_WEIGHT * self.cache.powi(2)
    }
}

/// A line's value: what follows the labels.
fn value(line: &str) -> Option<f64> {
    let after = line.rsplit_once('}').map_or_else(|| line.split_once(' '), Some)?.1;
    let value = after.split_whitespace().next()?.parse::<f64>().ok()?;
    value.is_finite().then_some(value.max(0.0))
}

impl Server {
    /// One that has said nothing yet.
    pub fn new(endpoint: &Endpoint) -> Server {
        let address = endpoint.address.clone().unwrap_or_default();
        Server { address, told: Cell::new(None), sent: Cell::new(0) }
    }

    /// It has said how it is.
    pub fn tell(&self, load: Option<Load>, now: u64) {
        self.sent.set(0);
        self.told.set(load.map(|load| (load, now)));
    }

    /// A request goes there.
    pub fn begin(&self) {
        self.sent.set(self.sent.get().saturating_add(1));
    }

    /// How busy it is, in requests; none if it has not said lately.
    pub fn busy(&self, now: u64) -> Option<f64> {
        let (load, when) = self.told.get()?;
        let fresh = now.saturating_sub(when) < FRESH;
        fresh.then(|| load.busy() + f64::from(self.sent.get()))
    }
}

/// The least busy of a target's servers, and how busy it is; none if none of them has said lately.
pub fn least(servers: &[std::rc::Rc<Server>], now: u64) -> Option<(&Server, f64)> {
    let told = servers.iter().filter_map(|server| Some((server.as_ref(), server.busy(now)?)));
    told.min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn vllm_and_sglang_are_understood() {
        let vllm = "# HELP vllm:num_requests_running Number\n\
            vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0\n\
            vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2.0\n\
            vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"a b}\"} 0.25\n";
        let load = Load { waiting: 2.0, running: 3.0, cache: 0.25 };
        assert_eq!(Load::read(vllm), Some(load));
        let sglang = "sglang:num_running_reqs{model_name=\"m\"} 3\n\
            sglang:num_queue_reqs{model_name=\"m\"} 2\nsglang:token_usage{model_name=\"m\"} 0.25\n";
        assert_eq!(Load::read(sglang), Some(load));
        assert_eq!(Load::read("process_cpu_seconds_total 5\n"), None);
        assert_eq!(Load::read("vllm:num_requests_running NaN"), None);
    }

    #[test]
    fn the_least_busy_is_found_and_what_was_sent_since_counts() {
        let server = |address: &str, waiting: f64| {
            let server = Server::new(&Endpoint { address: Some(address.into()), metrics: None });
            server.tell(Some(Load { waiting, ..Load::default() }), 1);
            Rc::new(server)
        };
        let servers = [server("a", 2.0), server("b", 1.0)];
        assert_eq!(least(&servers, 2).unwrap().0.address, "b");
        (0..3).for_each(|_| servers[1].begin());
        assert_eq!(least(&servers, 2).unwrap().0.address, "a");
        assert!(least(&servers, 1 + FRESH).is_none(), "too old");
    }
}
