//! Puts a conversation into an order that a provider takes.

use shared::json::JsonStr;
use shared::small_map::SmallMap;

use super::ir::{Body, Part, Request, Role, Turn};

impl Request<'_> {
    /// Moves instructions in the midst to the beginning, for those who know no others.
    pub fn move_instructions(&mut self) {
        if self.turns.iter().all(|turn| turn.role != Role::System) {
            return;
        }
        for Turn { role, parts } in std::mem::take(&mut self.turns) {
            match role {
                Role::System => self.system.extend(parts),
                _ => self.push(role, parts),
            }
        }
    }

    /// Gives each call a name of its own and puts results before what else is said in their turn, for those
    /// who demand it. Some servers begin to count their calls anew with each answer, and such a
    /// conversation may have failed over.
    pub fn tell_calls_apart(&mut self) {
        let mut times: SmallMap<String, u32> = SmallMap::default();
        // The names of the last calls, as they came and as they are now, until their results come.
        let mut open: Vec<(String, Option<String>)> = Vec::new();
        for turn in &mut self.turns {
            if turn.role == Role::Assistant {
                open.clear();
            }
            for part in &mut turn.parts {
                match &mut part.body {
                    Body::ToolCall { id, .. } => {
                        let given = id.decode().into_owned();
                        let another = another(&mut times, &given);
                        if let Some(another) = &another {
                            *id = JsonStr::encode(another);
                        }
                        open.push((given, another));
                    }
                    Body::ToolResult { id, .. } => {
                        let at = open.iter().position(|(given, _)| *id.decode() == **given);
                        if let Some((_, Some(another))) = at.map(|at| open.remove(at)) {
                            *id = JsonStr::encode(&another);
                        }
                    }
                    _ => {}
                }
            }
            let is_result = |part: &Part<'_>| matches!(part.body, Body::ToolResult { .. });
            if turn.parts.iter().any(is_result) {
                let parts = std::mem::take(&mut turn.parts).into_iter();
                let (results, others): (Vec<_>, Vec<_>) = parts.partition(is_result);
                turn.parts = results;
                turn.parts.extend(others);
            }
        }
    }
}

/// A name that no call has yet, if this one has been given before; `times`: how often each was.
fn another(times: &mut SmallMap<String, u32>, given: &str) -> Option<String> {
    let before = times.get(given).copied().unwrap_or(0);
    let mut count = before.saturating_add(1);
    let mut other = None;
    if before > 0 {
        // One that is made up may be another's own.
        while times.contains_key(&format!("{given}_{count}")) {
            count = count.saturating_add(1);
        }
        let name = format!("{given}_{count}");
        times.insert(name.clone(), 1);
        other = Some(name);
    }
    times.insert(given.to_owned(), count);
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_made_up_that_a_call_has() {
        let mut times = SmallMap::default();
        let mut name = |given: &str| another(&mut times, given).unwrap_or_else(|| given.to_owned());
        let names = ["a", "a_2", "a", "a_2", "a", "b"].map(&mut name);
        assert_eq!(names, ["a", "a_2", "a_3", "a_2_2", "a_4", "b"]);
        assert_eq!(["c", "c", "c_2"].map(name), ["c", "c_2", "c_2_2"]);
    }
}
