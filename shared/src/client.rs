//! Who is at the other end of the connection.

use std::net::{IpAddr, SocketAddr};

use crate::host::Host;

/// The client's address as the proxy sees it. On Envoy that is the trusted end of `x-forwarded-for`
/// where the connection manager is told how many hops to trust, else the peer; on APISIX what its
/// `real-ip` plugin has made of it.
pub fn address(host: &dyn Host) -> Option<IpAddr> {
    let read = |path: &[&str]| {
        let text = String::from_utf8(host.property(path)?).ok()?;
        parse(text.trim())
    };
    read(&["source", "address"]).or_else(|| read(&["remote_addr"]))
}

fn parse(text: &str) -> Option<IpAddr> {
    let socket = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse::<IpAddr>().ok().or_else(socket)?;
    Some(address.to_canonical())
}

/// A range of addresses, `10.0.0.0/8` or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Reads one; the error says what is expected.
    pub fn parse(text: &str) -> Result<Cidr, &'static str> {
        const EXPECTED: &str = "expected an address or a range, as `10.0.0.0/8` or `2001:db8::/32`";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| EXPECTED)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(EXPECTED) } else { Ok(Cidr { address, bits }) }
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        // Nothing is compared of `0.0.0.0/0`; a shift by all bits is none.
        let shift = u32::from(width - self.bits);
        own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::host::script::ScriptHost;

    fn within(range: &str, address: &str) -> bool {
        Cidr::parse(range).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn ranges_contain_what_they_should() {
        assert!(within("10.0.0.0/8", "10.255.1.2") && !within("10.0.0.0/8", "11.0.0.1"));
        assert!(within("0.0.0.0/0", "1.2.3.4") && !within("0.0.0.0/0", "::1"));
        assert!(within("192.168.1.7", "192.168.1.7") && !within("192.168.1.7", "192.168.1.8"));
        assert!(within("2001:db8::/32", "2001:db8:1::") && !within("2001:db8::/32", "2001:db9::"));
        assert!(within("::/0", "::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a/8", "10.0.0.0/"] {
            assert!(Cidr::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_clients_address_is_read_with_and_without_a_port() {
        for (property, value, expected) in [
            ("source.address", "10.1.2.3:4711", "10.1.2.3"),
            ("source.address", "[2001:db8::1]:80", "2001:db8::1"),
            ("source.address", "[::ffff:10.1.2.3]:80", "10.1.2.3"),
            ("remote_addr", "10.1.2.4", "10.1.2.4"),
        ] {
            let host = ScriptHost::default();
            host.properties.borrow_mut().insert(property.into(), value.into());
            assert_eq!(address(&host), Some(expected.parse().unwrap()));
        }
        assert_eq!(address(&ScriptHost::default()), None);
    }
}
