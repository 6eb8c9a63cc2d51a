//! Runs filters: in order for a request, in reverse order for an answer.
//!
//! Knows nothing of phases or buffers; that is [`Exchange`](crate::exchange::Exchange)'s part. A
//! plugin that stands alone is a chain of one.

use crate::answer::AnswerBody;
use crate::filter::{
    CallReply, Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead, Verdict,
};
use crate::request::RequestBody;

/// The filters of one exchange.
pub struct Chain {
    filters: Vec<Box<dyn Filter>>,
    /// Places of those that want nothing of the answer at hand.
    ignoring: Vec<usize>,
}

/// Which part of a request is being shown to the filters.
#[derive(Debug)]
pub enum Stage<'a> {
    /// Its headers.
    Head,
    /// Its body.
    Body(&'a mut RequestBody),
}

/// Where a run through the filters ended.
#[derive(Debug)]
pub enum Step {
    /// All filters have let it pass.
    Passed,
    /// The filter of this index said something other than [`Flow::Continue`].
    Stopped(usize, Flow),
}

impl Chain {
    /// A chain of these filters, the one nearest to the client first.
    pub fn new(filters: Vec<Box<dyn Filter>>) -> Chain {
        Chain { filters, ignoring: Vec::new() }
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// Shows a stage of the request to the filters, from index `from` on.
    pub fn request(&mut self, from: usize, mut stage: Stage<'_>, cx: &mut Cx<'_>) -> Step {
        for (index, filter) in self.filters.iter_mut().enumerate().skip(from) {
            let flow = match &mut stage {
                Stage::Head => filter.request_head(cx),
                Stage::Body(body) => filter.request(cx, body),
            };
            if !matches!(flow, Flow::Continue) {
                return Step::Stopped(index, flow);
            }
            if cx.taken {
                break;
            }
        }
        Step::Passed
    }

    /// Tells the filter of this index what came of its call.
    pub fn called(&mut self, index: usize, reply: CallReply, cx: &mut Cx<'_>) -> Flow {
        match self.filters.get_mut(index) {
            Some(filter) => filter.called(cx, reply),
            None => Flow::Continue,
        }
    }

    /// Asks the filter of this index whether it still has to wait.
    pub fn waited(&mut self, index: usize, late: bool, cx: &mut Cx<'_>) -> Flow {
        match self.filters.get_mut(index) {
            Some(filter) => filter.waited(cx, late),
            None => Flow::Continue,
        }
    }

    /// Shows an answer's head to the filters before index `below`.
    pub fn response_head(
        &mut self,
        below: usize,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
    ) -> Interest {
        let mut interest = Interest::Ignore;
        let mut ignoring = Vec::new();
        for (index, filter) in self.below(below).iter_mut().enumerate().rev() {
            let wish = filter.response_head(cx, head);
            if wish == Interest::Ignore {
                ignoring.push(index);
            }
            interest = interest.max(wish);
        }
        self.ignoring = ignoring;
        interest
    }

    /// Sends one event through the filters before index `below`; what comes out is appended.
    pub fn event(&mut self, below: usize, cx: &mut Cx<'_>, event: &Event<'_>, bytes: &mut Vec<u8>) {
        Out { filters: self.below(below), bytes }.send(cx, event);
    }

    /// Tells the filters before index `below`, the innermost first, that the stream is over.
    pub fn end(&mut self, below: usize, cx: &mut Cx<'_>, complete: bool, bytes: &mut Vec<u8>) {
        let mut rest = self.below(below);
        while let Some((filter, outer)) = rest.split_last_mut() {
            filter.end(cx, complete, &mut Out { filters: outer, bytes });
            rest = outer;
        }
    }

    /// Shows a whole answer to the filters before index `below`; `Some` is its new body.
    pub fn answer(
        &mut self,
        below: usize,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        // What one of them wants of the answer is not for those that want nothing.
        let ignoring = std::mem::take(&mut self.ignoring);
        let mut filters = self.below(below).iter_mut().enumerate().rev();
        let mut changed: Option<Vec<u8>> = None;
        loop {
            let now = AnswerBody::new(changed.as_deref().unwrap_or(body));
            let next = filters.find_map(|(index, filter)| {
                if ignoring.contains(&index) {
                    return None;
                }
                cx.place = index;
                filter.answer(cx, head, &now)
            });
            match next {
                Some(next) => changed = Some(next),
                None => return changed,
            }
        }
    }

    /// Tells the filter of this index what came of a call about the answer; what it sends is appended.
    pub fn answer_called(
        &mut self,
        index: usize,
        cx: &mut Cx<'_>,
        reply: CallReply,
        bytes: &mut Vec<u8>,
    ) -> Verdict {
        match self.below(index.saturating_add(1)).split_last_mut() {
            Some((filter, outer)) => {
                filter.answer_called(cx, reply, &mut Out { filters: outer, bytes })
            }
            None => Verdict::Pass,
        }
    }

    /// Tells every filter that the exchange is over.
    pub fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        for filter in &mut self.filters {
            filter.done(cx, outcome);
        }
    }

    fn below(&mut self, index: usize) -> &mut [Box<dyn Filter>] {
        let end = index.min(self.filters.len());
        self.filters.get_mut(..end).unwrap_or_default()
    }
}
