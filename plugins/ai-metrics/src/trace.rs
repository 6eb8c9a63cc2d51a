//! W3C trace context, <https://www.w3.org/TR/trace-context/>.

use shared::host::{Host, Map};
use shared::text::hex;

/// The header that carries it.
pub const HEADER: &str = "traceparent";

/// Where a request stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub trace: u128,
    /// The span that is made here.
    pub span: u64,
    /// The caller's span.
    pub parent: Option<u64>,
    /// Whether spans of it are kept.
    pub sampled: bool,
}

impl Trace {
    /// Goes on with the client's trace, or begins one, of which the share `ratio` is kept.
    pub fn of(host: &dyn Host, ratio: f64) -> Trace {
        let span = host.random().max(1);
        let header = host.header(Map::Request, HEADER);
        let header = header.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        if let Some((trace, parent, sampled)) = header.and_then(parse) {
            return Trace { trace, span, parent: Some(parent), sampled };
        }
        let trace = (u128::from(host.random()) << 64) | u128::from(host.random().max(1));
        Trace { trace, span, parent: None, sampled: sampled(trace, ratio) }
    }

    /// The header for whoever comes next.
    pub fn header(&self) -> String {
        let [trace, span] = [hex(&self.trace.to_be_bytes()), hex(&self.span.to_be_bytes())];
        ["00-", &trace, "-", &span, if self.sampled { "-01" } else { "-00" }].concat()
    }
}

/// Decided by the trace's number, so that all who see it decide alike.
fn sampled(trace: u128, ratio: f64) -> bool {
    // Both have 53 bits, which a float holds exactly.
    #[allow(clippy::cast_precision_loss)]
    let place = ((trace as u64) >> 11) as f64 / (1_u64 << 53) as f64;
    place < ratio
}

/// Version 00, and what later versions are to keep of it: trace, parent, whether it is sampled.
fn parse(header: &str) -> Option<(u128, u64, bool)> {
    let mut parts = header.trim().split('-');
    let version = parts.next().filter(|version| is_hex(version, 2) && *version != "ff")?;
    let trace = parts.next().filter(|trace| is_hex(trace, 32))?;
    let parent = parts.next().filter(|parent| is_hex(parent, 16))?;
    let flags = parts.next().filter(|flags| is_hex(flags, 2))?;
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace, parent, flags & 1 == 1))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    const SPEC: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_clients_trace_is_gone_on_with() {
        let host = ScriptHost::default();
        host.random.set(5);
        host.put(Map::Request, HEADER, SPEC);
        let trace = Trace::of(&host, 0.0);
        assert_eq!(trace.parent, Some(0xb7ad_6b71_6920_3331));
        assert!(trace.sampled);
        assert_eq!(trace.header(), SPEC.replace("b7ad6b7169203331", "0000000000000005"));
    }

    #[test]
    fn what_is_no_trace_context_begins_a_new_one() {
        for bad in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what-ever";
        assert!(parse(later).is_some());
    }

    #[test]
    fn the_share_of_traces_that_is_kept_is_the_one_asked_for() {
        let kept = (0..10_000_u128).filter(|n| {
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            sampled(mixed, 0.25)
        });
        assert!((2300..2700).contains(&kept.count()));
        assert!(!sampled(0, 0.0) && sampled(u128::MAX, 1.0));
    }
}
