//! What a rule may know of a request.

use std::net::IpAddr;

use serde_json::Value;
use shared::client;
use shared::facts::Fact;
use shared::filter::Cx;
use shared::host::{Capability, Map};
use shared::pick;

use crate::rule::Part;

/// Longest part of a key; what is longer is cut, so that no client makes keys without bound.
const MAX_PART: usize = 256;

/// Stands for a part that the request has not.
const NONE: &str = "-";

/// A request.
pub struct Ask<'a, 'b> {
    /// The proxy and the facts.
    pub cx: &'a mut Cx<'b>,
    /// The model that it asks for.
    pub model: &'a str,
    /// Its body.
    pub body: &'a str,
    /// The provider that answers, once it is known.
    pub provider: &'a str,
    /// The model that it was asked for, once it is known.
    pub target_model: &'a str,
}

impl Ask<'_, '_> {
    /// A rule's key for it.
    pub fn key(&mut self, parts: &[Part]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.part(part)).collect();
        parts.join("/")
    }

    /// One part of a key.
    pub fn part(&mut self, part: &Part) -> String {
        let text = match part {
            Part::Consumer => self.fact(Fact::Consumer),
            Part::Group => self.groups().split(',').next().unwrap_or_default().to_owned(),
            Part::KeyId => self.fact(Fact::KeyId),
            Part::Model => self.model.to_owned(),
            Part::Endpoint => {
                self.cx.endpoint.map(|endpoint| format!("{endpoint:?}")).unwrap_or_default()
            }
            Part::Ip => self.address().map(|ip| ip.to_string()).unwrap_or_default(),
            Part::Provider => self.provider.to_owned(),
            Part::TargetModel => self.target_model.to_owned(),
            Part::Route => self.route(),
            Part::Header(name) => self.header(name),
            Part::Query(name) => self.query(name),
            Part::Cookie(name) => self.cookie(name),
            Part::Tag(name) => member(&self.fact(Fact::Tags), name),
            Part::Claim(name) => member(&self.fact(Fact::Claims), name),
            Part::Body(name) => self.in_body(name),
        };
        if text.is_empty() {
            return NONE.to_owned();
        }
        let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= MAX_PART);
        end.and_then(|end| text.get(..end)).unwrap_or(&text).replace('/', "%2F")
    }

    /// Its groups, separated by commas.
    pub fn groups(&mut self) -> String {
        self.fact(Fact::Groups)
    }

    /// Its path without the query.
    pub fn path(&self) -> String {
        let path = self.cx.host.path().unwrap_or_default();
        path.split('?').next().unwrap_or_default().to_owned()
    }

    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> String {
        let value = self.cx.host.header(Map::Request, name).unwrap_or_default();
        String::from_utf8(value).unwrap_or_default()
    }

    /// The client's address.
    pub fn address(&self) -> Option<IpAddr> {
        client::address(self.cx.host)
    }

    /// The proxy's own route: Envoy's name of it, APISIX's number.
    pub fn route(&self) -> String {
        let host = self.cx.host;
        let name = host.property(&["xds", "route_name"]).filter(|name| !name.is_empty());
        // Which of the two there is follows from how upstreams are named.
        let number = || match host.can(Capability::Clusters) {
            true => None,
            false => host.property(&["route_id"]),
        };
        let name = name.or_else(number).unwrap_or_default();
        String::from_utf8(name).unwrap_or_default()
    }

    fn fact(&mut self, fact: Fact) -> String {
        self.cx.facts.get(self.cx.host, fact).unwrap_or_default()
    }

    fn query(&self, name: &str) -> String {
        let path = self.cx.host.path().unwrap_or_default();
        let (_, query) = path.split_once('?').unwrap_or_default();
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    fn cookie(&self, name: &str) -> String {
        let cookies = self.header("cookie");
        let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    fn in_body(&self, name: &str) -> String {
        let found = if name == "user" {
            pick::at(self.body, &["user"])
        } else {
            pick::at(self.body, &["metadata", name])
        };
        let text = found.map(|value| shared::json::tree(value.get()));
        match text {
            Some(Ok(Value::String(text))) => text,
            Some(Ok(Value::Number(number))) => number.to_string(),
            _ => String::new(),
        }
    }
}

fn member(object: &str, name: &str) -> String {
    if object.is_empty() {
        return String::new();
    }
    let object = shared::json::object(object).unwrap_or_default();
    object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
