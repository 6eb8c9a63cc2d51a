//! Brings a stream's items into an order.
//!
//! Events name the item they are about, a message's or a call's, and those of several calls may take turns.
//! A step of the hub does not, so that the steps of a call must follow each other: what belongs to other
//! items waits until the call is over.

use std::collections::VecDeque;

use shared::json::{BadJson, JsonStr};

use crate::translate::ir::{Delta, Logprob};

/// The most that may wait, in bytes (4 MiB).
const MAX_WAITING: usize = 4 << 20;

/// The most items that may wait: each step looks for its own among them.
const MAX_ITEMS: usize = 256;

/// The steps of a stream's items.
#[derive(Debug, Default)]
pub(super) struct Interleaved {
    /// The item whose call is being passed on.
    open: Option<u32>,
    /// By item, the one that came first at the front.
    waiting: VecDeque<(u32, Vec<Waiting>)>,
    /// About how much memory it takes.
    bytes: usize,
}

#[derive(Debug)]
enum Waiting {
    Step(Delta<'static>),
    /// The item is over.
    End,
}

impl Interleaved {
    /// A step of this item.
    pub(super) fn step<'a>(
        &mut self,
        item: u32,
        delta: Delta<'a>,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        if self.open.is_none_or(|open| open == item) {
            self.pass(item, delta, step);
            return Ok(());
        }
        let Some((delta, bytes)) = own(delta) else { return Ok(()) };
        self.wait(item, Waiting::Step(delta), bytes)
    }

    /// This item is over.
    pub(super) fn end<'a>(
        &mut self,
        item: u32,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        match self.open {
            Some(open) if open == item => {
                self.open = None;
                self.release(step);
                Ok(())
            }
            Some(_) => self.wait(item, Waiting::End, 0),
            None => Ok(()),
        }
    }

    /// All items are over.
    pub(super) fn finish<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) {
        self.open = None;
        while !self.waiting.is_empty() {
            self.release(step);
            self.open = None;
        }
    }

    fn wait(&mut self, item: u32, what: Waiting, bytes: usize) -> Result<(), BadJson> {
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(size_of::<Waiting>());
        let items = self.waiting.len();
        let known = self.waiting.iter_mut().find(|(of, _)| *of == item);
        let room = self.bytes <= MAX_WAITING;
        match known {
            Some((_, steps)) if room => steps.push(what),
            None if room && items < MAX_ITEMS => {
                self.waiting.push_back((item, vec![what]));
            }
            _ => {
                let message = "too much of other items comes in the midst of a call".to_owned();
                return Err(BadJson { path: "output_index".into(), message });
            }
        }
        Ok(())
    }

    /// Passes on what waits, item by item, up to a call that is not over yet.
    fn release<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) {
        while self.open.is_none()
            && let Some((item, steps)) = self.waiting.pop_front()
        {
            for what in steps {
                match what {
                    Waiting::Step(delta) => self.pass(item, delta, step),
                    Waiting::End => self.open = None,
                }
            }
        }
        if self.waiting.is_empty() {
            self.bytes = 0;
        }
    }

    fn pass<'a>(&mut self, item: u32, delta: Delta<'a>, step: &mut dyn FnMut(Delta<'a>)) {
        if matches!(delta, Delta::ToolStart { .. }) {
            self.open = Some(item);
        }
        step(delta);
    }
}

/// A copy of a step of an item, and the size of its texts.
fn own(delta: Delta<'_>) -> Option<(Delta<'static>, usize)> {
    let mut bytes = 0_usize;
    let mut text = |text: JsonStr<'_>| {
        bytes = bytes.saturating_add(text.escaped().len());
        JsonStr::from_escaped(text.escaped())
    };
    let delta = match delta {
        Delta::Text(piece) => Delta::Text(text(piece)?),
        Delta::Refusal(piece) => Delta::Refusal(text(piece)?),
        Delta::Thinking(piece) => Delta::Thinking(text(piece)?),
        Delta::ToolArguments(piece) => Delta::ToolArguments(text(piece)?),
        Delta::ToolStart { id, name } => Delta::ToolStart { id: text(id)?, name: text(name)? },
        Delta::ThoughtEnd { text: thought, signature } => {
            Delta::ThoughtEnd { text: text(thought)?, signature: text(signature)? }
        }
        Delta::Logprobs(list) => {
            let mut own = Vec::with_capacity(list.len());
            for Logprob { token, logprob, top } in list {
                let top = top.into_iter().filter_map(|(token, p)| Some((text(token)?, p)));
                let top = top.collect();
                own.push(Logprob { token: text(token)?, logprob, top });
            }
            Delta::Logprobs(own)
        }
        // No item has these.
        Delta::Start { .. }
        | Delta::Lost(_)
        | Delta::Image(_)
        | Delta::RedactedThinking(_)
        | Delta::Stop(_)
        | Delta::Error { .. }
        | Delta::End(_) => return None,
    };
    Some((delta, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps as `item:text`, `+` for a call, `.` for an end; what comes out.
    fn run(script: &str) -> String {
        let mut order = Interleaved::default();
        let mut out = Vec::new();
        let mut step = |delta: Delta<'_>| match delta {
            Delta::ToolStart { name, .. } => out.push(format!("+{}", name.escaped())),
            Delta::ToolArguments(text) | Delta::Text(text) => out.push(text.escaped().to_owned()),
            _ => {}
        };
        for word in script.split(' ') {
            let (item, what) = word.split_once(':').unwrap();
            let at = item.parse().unwrap();
            match what {
                "+" => {
                    let start =
                        Delta::ToolStart { id: JsonStr::encode(item), name: JsonStr::encode(item) };
                    order.step(at, start, &mut step).unwrap();
                }
                "." => order.end(at, &mut step).unwrap(),
                text => {
                    order.step(at, Delta::Text(JsonStr::encode(text)), &mut step).unwrap();
                }
            }
        }
        order.finish(&mut step);
        out.join(" ")
    }

    #[test]
    fn calls_that_take_turns_come_one_after_the_other() {
        for (script, expected) in [
            ("0:a 0:b 0:. 1:+ 1:c 1:.", "a b +1 c"),
            ("0:+ 0:a 1:+ 0:b 1:c 0:. 1:d 1:.", "+0 a b +1 c d"),
            ("0:+ 1:+ 2:+ 2:c 2:. 1:b 1:. 0:a 0:.", "+0 a +1 b +2 c"),
            ("0:+ 1:+ 1:b 1:. 2:t 0:a 0:. 2:u", "+0 a +1 b t u"),
            ("0:+ 0:a 1:t 1:+ 0:b", "+0 a b t +1"),
        ] {
            assert_eq!(run(script), expected, "{script}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut order = Interleaved::default();
        let start = Delta::ToolStart { id: JsonStr::encode(""), name: JsonStr::encode("") };
        order.step(0, start, &mut |_| {}).unwrap();
        let piece = "x".repeat(1 << 20);
        let waits = |order: &mut Interleaved| {
            order.step(1, Delta::Text(JsonStr::encode(&piece)), &mut |_| {}).is_ok()
        };
        assert_eq!((0..5).filter(|_| waits(&mut order)).count(), 3);

        let mut order = Interleaved::default();
        let start = Delta::ToolStart { id: JsonStr::encode(""), name: JsonStr::encode("") };
        order.step(0, start, &mut |_| {}).unwrap();
        let mut waits =
            |item| order.step(item, Delta::Text(JsonStr::encode("a")), &mut |_| {}).is_ok();
        assert_eq!((1..300).filter(|item| waits(*item)).count(), MAX_ITEMS);
        assert!(waits(1), "one that waits already");
    }
}
