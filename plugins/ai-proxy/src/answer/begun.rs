//! What the beginning of a streamed answer shows it to be.

use shared::errors::ErrorKind;

use crate::translate::ir::{Delta, StopReason};

/// What the beginning of a streamed answer has shown it to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Begun {
    /// Nothing yet: greetings and signs of life.
    #[default]
    Waiting,
    /// An answer.
    Content,
    /// The provider gives up before it has said anything.
    Failed {
        /// What went wrong.
        kind: ErrorKind,
        /// The provider's own name of it.
        code: String,
        /// In words.
        message: String,
    },
}

impl Begun {
    /// A step has been read.
    #[inline]
    fn see(&mut self, delta: &Delta<'_>) {
        if *self != Begun::Waiting {
            return;
        }
        *self = match delta {
            Delta::Start { .. } | Delta::Lost(_) => return,
            Delta::Text(text) | Delta::Thinking(text) | Delta::ToolArguments(text)
                if text.is_empty() =>
            {
                return;
            }
            Delta::Error { kind, code, message } => {
                Begun::Failed { kind: *kind, code: code.clone(), message: message.clone() }
            }
            _ => Begun::Content,
        };
    }
}

/// A step has been read; `filtered` becomes true if it says that nothing will come of it.
#[inline]
pub(super) fn see(begun: &mut Begun, filtered: &mut bool, delta: &Delta<'_>) {
    *filtered |= *begun == Begun::Waiting && matches!(delta, Delta::Stop(StopReason::Filter));
    begun.see(delta);
}

/// The stream was over or unreadable before it had begun.
pub(super) fn no_answer(begun: &mut Begun, provider: &str) {
    if *begun == Begun::Waiting {
        *begun = Begun::Failed {
            kind: ErrorKind::BadGateway,
            code: "stream_interrupted".into(),
            message: format!("the stream of provider `{provider}` broke off before it began"),
        };
    }
}
