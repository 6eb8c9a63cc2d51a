//! The calls of a streamed answer. Their pieces may take turns, and several may stand in one chunk.

use shared::json::{BadJson, JsonStr};
use shared::protocol::openai_chat::ToolCall;

use crate::translate::ir::Delta;
use crate::translate::provider::interleaved::Interleaved;

/// So many calls may be under way at once.
const MOST: usize = 128;

/// What is known of the calls of one stream.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Those that may go on.
    open: Vec<Call>,
    /// How many have begun.
    begun: u32,
    order: Interleaved,
}

#[derive(Debug)]
struct Call {
    /// Its place, as the server counts.
    index: u32,
    /// Its id, if the server gives one.
    id: Option<String>,
    /// Which one it is of all.
    number: u32,
    arguments: Arguments,
}

impl Calls {
    /// A piece of a call: where it begins, its name, and some of its arguments.
    pub(super) fn piece<'a>(
        &mut self,
        call: ToolCall<'a>,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        let index = call.index.unwrap_or(0);
        let function = call.function.unwrap_or_default();
        let id = call.id.filter(|id| !id.is_empty());
        let piece = function.arguments.filter(|piece| !piece.is_empty());
        let name = function.name.filter(|name| !name.is_empty());
        // Where a server neither counts its calls nor gives them ids, a name begins another.
        let unnamed = id.is_none() && name.is_some();
        let goes_on =
            |call: &Call| call.is(index, id.as_ref()) && !(unnamed && call.arguments.whole);
        let at = self.open.iter().rposition(goes_on);
        let Some(call) = at.and_then(|at| self.open.get_mut(at)) else {
            // A piece of a call that is over cannot be put anywhere.
            let Some(name) = name.filter(|_| self.open.len() < MOST) else {
                let message = "calls are mixed up".to_owned();
                return Err(BadJson { path: "choices[0].delta.tool_calls".into(), message });
            };
            self.close(step)?;
            let number = self.begun;
            self.begun = number.saturating_add(1);
            let mut call = Call {
                index,
                id: id.as_ref().map(|id| id.decode().into_owned()),
                number,
                arguments: Arguments::default(),
            };
            let id = id.unwrap_or_else(|| JsonStr::encode(&format!("call_{number}")));
            self.order.step(number, Delta::ToolStart { id, name }, step)?;
            if let Some(piece) = piece {
                call.arguments.add(&piece);
                self.order.step(number, Delta::ToolArguments(piece), step)?;
            }
            self.open.push(call);
            return Ok(());
        };
        if let Some(piece) = piece {
            call.arguments.add(&piece);
            self.order.step(call.number, Delta::ToolArguments(piece), step)?;
        }
        Ok(())
    }

    /// Whether a function was called.
    pub(super) fn any(&self) -> bool {
        self.begun > 0
    }

    /// Another begins, so that those whose arguments are whole are over; the others may go on.
    fn close<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) -> Result<(), BadJson> {
        let (over, open) =
            std::mem::take(&mut self.open).into_iter().partition(|call| call.arguments.whole);
        self.open = open;
        let over: Vec<Call> = over;
        over.iter().try_for_each(|call| self.order.end(call.number, step))
    }

    /// The answer is over. Clients parse the arguments, and nothing is no JSON.
    pub(super) fn finish<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) {
        for call in std::mem::take(&mut self.open) {
            if !call.arguments.given {
                let nothing = Delta::ToolArguments(JsonStr::encode("{}"));
                let _ = self.order.step(call.number, nothing, step);
            }
            let _ = self.order.end(call.number, step);
        }
        self.order.finish(step);
    }
}

impl Call {
    /// Whether a piece with this place and id is one of this call's. Some servers give all calls the same
    /// place and tell them apart by id alone; others repeat the id with every piece.
    fn is(&self, index: u32, id: Option<&JsonStr<'_>>) -> bool {
        let another = matches!((id, &self.id), (Some(id), Some(own)) if *id != **own);
        self.index == index && !another
    }
}

/// How far the JSON of a call's arguments has come.
#[derive(Clone, Copy, Debug, Default)]
struct Arguments {
    given: bool,
    /// The outermost object is closed.
    whole: bool,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Arguments {
    fn add(&mut self, piece: &JsonStr<'_>) {
        self.given = true;
        for byte in piece.decode().bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.whole |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::json::parse;

    /// What comes out of these `delta.tool_calls`.
    fn run(chunks: &[&str]) -> Result<String, BadJson> {
        let mut calls = Calls::default();
        let mut out = String::new();
        for chunk in chunks {
            let pieces: Vec<ToolCall<'_>> = parse(chunk).unwrap();
            for piece in pieces {
                calls.piece(piece, &mut |delta| write(&mut out, &delta))?;
            }
        }
        calls.finish(&mut |delta| write(&mut out, &delta));
        Ok(out)
    }

    fn write(out: &mut String, delta: &Delta<'_>) {
        match delta {
            Delta::ToolStart { id, name } => {
                *out += &format!(" {}:{} ", id.escaped(), name.escaped());
            }
            Delta::ToolArguments(piece) => *out += &piece.decode(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn calls_whose_pieces_take_turns_come_one_after_the_other() {
        let out = run(&[
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":""}},
                {"index":1,"id":"b","function":{"name":"g","arguments":""}}]"#,
            r#"[{"index":1,"function":{"arguments":"{\"y\":"}},
                {"index":0,"function":{"arguments":"{\"x\":\"}"}}]"#,
            r#"[{"index":0,"function":{"arguments":"\"}"}},{"index":1,"function":{"arguments":"2}"}}]"#,
        ]);
        assert_eq!(out.unwrap(), r#" a:f {"x":"}"} b:g {"y":2}"#);
    }

    #[test]
    fn calls_that_follow_each_other_are_streamed_as_they_come() {
        let mut calls = Calls::default();
        let mut steps = 0;
        for text in [
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
            r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}"#,
            r#"{"index":1,"function":{"arguments":":2"}}"#,
        ] {
            let before = steps;
            calls.piece(parse(text).unwrap(), &mut |_| steps += 1).unwrap();
            assert!(steps > before, "{text} waits");
        }
    }

    #[test]
    fn servers_that_do_not_count_tell_calls_apart_by_their_ids() {
        let out = run(&[
            r#"[{"id":"a","function":{"name":"f","arguments":"{}"}}]"#,
            r#"[{"id":"b","function":{"name":"g","arguments":"{"}}]"#,
            r#"[{"id":"b","function":{"arguments":"}"}}]"#,
            r#"[{"index":7,"function":{"name":"h","arguments":"{}"}}]"#,
            r#"[{"index":7,"function":{"name":"i"}}]"#,
        ]);
        assert_eq!(out.unwrap(), " a:f {} b:g {} call_2:h {} call_3:i {}");
    }

    #[test]
    fn a_piece_of_a_call_that_is_over_is_a_mistake() {
        let out = run(&[
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]"#,
            r#"[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]"#,
            r#"[{"index":0,"function":{"arguments":"1"}}]"#,
        ]);
        assert_eq!(out.unwrap_err().message, "calls are mixed up");
    }
}
