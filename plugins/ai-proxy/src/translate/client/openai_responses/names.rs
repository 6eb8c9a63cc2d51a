//! Names of functions.
//!
//! Responses has two kinds of function that other protocols have not: those that take any text, and
//! those that belong to a namespace (as Codex declares those of an MCP server). The latter are plain
//! functions for other providers, whose names begin with the namespace's; in answers they get both
//! names back.

use shared::json::parse;
use shared::protocol::openai_responses::Tool;

use crate::translate::client::Context;

/// What a function of a namespace is called elsewhere.
pub(super) fn join(namespace: &str, name: &str) -> String {
    [namespace, "__", name].concat()
}

/// What is known of the functions that a client declared.
#[derive(Debug, Default)]
pub(super) struct Names {
    custom: Vec<String>,
    spaces: Vec<Space>,
}

#[derive(Debug)]
struct Space {
    joined: String,
    namespace: String,
    name: String,
}

shared::partial! {
    /// As much of [`Request::echo`](crate::translate::ir::Request::echo) as is needed.
    struct Echo<'a> {
        tools: Vec<Tool<'a>>,
    }
}

/// A function as a call names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'n> {
    pub(super) namespace: Option<&'n str>,
    pub(super) name: &'n str,
    pub(super) custom: bool,
}

impl Names {
    /// Those of a request.
    pub(super) fn new(context: &Context) -> Names {
        let mut names = Names { custom: context.custom_tools.clone(), spaces: Vec::new() };
        // Hardly any request has one, and then nothing is parsed.
        if context.echo.contains("\"namespace\"")
            && let Ok(echo) = parse::<Echo<'_>>(&format!("{{{}}}", context.echo))
        {
            echo.tools.iter().flatten().for_each(|tool| names.add(tool));
        }
        names
    }

    fn add(&mut self, tool: &Tool<'_>) {
        let (Some(namespace), Some(tools)) = (&tool.name, &tool.tools) else { return };
        let namespace = namespace.decode();
        for name in tools.iter().filter_map(|tool| tool.name.as_ref()) {
            self.spaces.push(Space {
                joined: join(&namespace, &name.decode()),
                namespace: namespace.clone().into_owned(),
                name: name.decode().into_owned(),
            });
        }
    }

    /// What the client calls this function.
    pub(super) fn of<'n>(&'n self, called: &'n str) -> Name<'n> {
        let custom = self.custom.iter().any(|custom| custom == called);
        match self.spaces.iter().find(|space| space.joined == called) {
            Some(space) => Name { namespace: Some(&space.namespace), name: &space.name, custom },
            None => Name { namespace: None, name: called, custom },
        }
    }
}
