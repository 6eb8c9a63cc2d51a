//! The filter: looks on, and counts when all is over.

use std::rc::Rc;

use shared::answer::AnswerBody;
use shared::config::Mode;
use shared::facts::Fact;
use shared::filter::{
    BodyKind, CallReply, Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead,
};
use shared::host::Map;
use shared::protocol::Endpoint;
use shared::request::RequestBody;

use crate::metrics::Metrics;
use crate::names;
use crate::record::Seen;
use crate::request::{Asked, is_language};
use crate::series::Labels;
use crate::trace::{self, Trace};
use crate::{admin, answer, nginx};

/// One request's part.
pub(crate) struct MetricsFilter {
    metrics: Rc<Metrics>,
    seen: Seen,
    /// The API whose form its answer has.
    form: Option<Endpoint>,
    /// Whether it is counted: it has begun, and is none of our own endpoints.
    counted: bool,
}

impl MetricsFilter {
    pub(crate) fn new(metrics: Rc<Metrics>) -> MetricsFilter {
        MetricsFilter { metrics, seen: Seen::default(), form: None, counted: false }
    }

    fn in_flight(&self, cx: &Cx<'_>, by: i64) {
        let endpoint = self.seen.endpoint;
        let labels = [answer::operation(endpoint), answer::protocol(endpoint)];
        self.metrics.series.add(cx.host, &names::IN_FLIGHT, Labels(&labels), true, by);
    }

    fn trace(&mut self, cx: &Cx<'_>) {
        let Some(ratio) = self.metrics.trace_ratio() else { return };
        let trace = Trace::of(cx.host, ratio);
        if self.metrics.mode == Mode::Enforce {
            let _ = cx.host.set_header(Map::Request, trace::HEADER, &trace.header());
        }
        self.seen.trace = Some(trace);
    }
}

impl Filter for MetricsFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.metrics.mode == Mode::Enforce
            && let Some(asked) = admin::Asked::of(cx.host)
        {
            return Flow::Respond(Box::new(admin::answer(&self.metrics, cx.host, &asked)));
        }
        self.seen.arrived = cx.host.now_nanos();
        self.seen.endpoint = cx.endpoint;
        self.counted = true;
        self.in_flight(cx, 1);
        self.trace(cx);
        if self.metrics.inputs.enabled && is_language(cx.endpoint) {
            cx.read_body();
        }
        match self.metrics.due_on_request(cx.host) {
            Some(call) => Flow::Call(Box::new(call)),
            None => Flow::Continue,
        }
    }

    /// An export that was made because a request came by.
    fn called(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        self.metrics.exported_on_request(cx.host, &reply);
        Flow::Continue
    }

    fn request(&mut self, _: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        let looks = self.counted && self.metrics.inputs.enabled;
        if looks && is_language(self.seen.endpoint) {
            self.seen.asked = Asked::of(body, self.metrics.inputs.max_bytes);
        }
        Flow::Continue
    }

    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        if !self.counted {
            return Interest::Ignore;
        }
        self.seen.status = head.status;
        self.seen.stream = head.kind.is_stream();
        self.form = cx.answer_form();
        self.seen.watch = answer::Watch::new(self.seen.asked.profile.schema);
        if !(200..300).contains(&head.status) {
            return Interest::Ignore;
        }
        // ai-proxy's own is signed.
        let given = head.headers.get(admin::FEEDBACK_HEADER).is_some();
        if self.metrics.mode == Mode::Enforce && self.metrics.takes_feedback() && !given {
            let mut fact = |fact| cx.facts.get(cx.host, fact).unwrap_or_default();
            let (provider, model) = (fact(Fact::Provider), fact(Fact::Model));
            let variant = fact(Fact::Variant);
            // One from the cache names its model, but nobody has been asked who could be rated.
            if !model.is_empty() && !provider.is_empty() {
                let value = admin::feedback_header(&provider, &model, &variant);
                head.headers.set(admin::FEEDBACK_HEADER, &value);
            }
        }
        match head.kind {
            BodyKind::EventStream | BodyKind::AwsEventStream | BodyKind::Json => Interest::Observe,
            BodyKind::Encoded | BodyKind::Other => Interest::Ignore,
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        self.seen.watch.event(self.form, event.data, cx.host.now_nanos());
        out.send(cx, event);
    }

    fn end(&mut self, cx: &mut Cx<'_>, _complete: bool, _out: &mut Out<'_>) {
        nginx::state(cx, &self.seen);
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        _head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        if body.text().is_some() {
            self.seen.watch.body(self.form, body.document_in_one_go());
        }
        nginx::state(cx, &self.seen);
        None
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if !self.counted {
            return;
        }
        self.in_flight(cx, -1);
        // ai-proxy takes votes at a path of no client's API.
        if self.seen.endpoint == Some(Endpoint::OpenAiOther)
            && let Some(vote) = cx.facts.get(cx.host, Fact::Feedback)
        {
            self.metrics.voted(cx.host, &vote);
        }
        self.metrics.finished(cx, &self.seen, outcome);
    }
}
