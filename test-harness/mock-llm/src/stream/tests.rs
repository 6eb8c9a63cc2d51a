use super::*;
use serde_json::{Value, json};

fn script(value: Value) -> Script {
    Script::parse(value, "a").unwrap()
}

fn events() -> Vec<Event> {
    vec![
        Event::named("start", "{}"),
        Event::data("one").token(),
        Event::data("two").token(),
        Event::data("[DONE]").terminal(),
    ]
}

fn steps(value: Value) -> Vec<Step> {
    plan(events(), Framing::Sse, &script(value), vec![Event::data("error")])
}

fn writes(steps: &[Step]) -> Vec<String> {
    let write = |step: &Step| match step {
        Step::Write(bytes, _) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    };
    steps.iter().filter_map(write).collect()
}

const ALL: &str = "event: start\ndata: {}\n\ndata: one\n\ndata: two\n\ndata: [DONE]\n\n";

#[test]
fn every_event_is_one_write() {
    let steps = steps(json!({}));
    assert_eq!(
        writes(&steps),
        ["event: start\ndata: {}\n\n", "data: one\n\n", "data: two\n\n", "data: [DONE]\n\n"]
    );
    assert_eq!(steps.iter().filter(|step| **step == Step::Flush).count(), 3);
}

#[test]
fn splits_never_lose_a_byte_or_an_event() {
    for split in
        [json!("whole"), json!({"every": 1}), json!({"every": 7}), json!({"at": [3, 3, 9999, 14]})]
    {
        let steps = steps(json!({ "split": split }));
        assert_eq!(writes(&steps).concat(), ALL);
        let events: usize = steps
            .iter()
            .map(|step| if let Step::Write(_, events) = step { *events } else { 0 })
            .sum();
        assert_eq!(events, 4, "{split}");
    }
    assert_eq!(writes(&steps(json!({"split": {"every": 1}}))).len(), ALL.len());
    assert_eq!(writes(&steps(json!({"split": "whole"}))).len(), 1);
    assert_eq!(writes(&steps(json!({"split": {"at": [3]}})))[0], "eve");
}

#[test]
fn writes_can_be_kept_apart() {
    let steps = steps(json!({"split": {"at": [5, 10]}, "split_ms": 2}));
    let waits: Vec<_> = steps.iter().filter(|step| matches!(step, Step::Until(_))).collect();
    let ms = |ms| Step::Until(Duration::from_millis(ms));
    assert_eq!(waits, [&ms(2), &ms(4)]);
    assert!(!steps.contains(&Step::Flush));
}

#[test]
fn lines_comments_and_mark_can_vary() {
    let all = writes(&steps(json!({"crlf": true, "comments": true, "bom": true}))).concat();
    assert!(all.starts_with("\u{feff}: keep-alive\r\n\r\nevent: start\r\ndata: {}\r\n\r\n:\r\n"));
    assert_eq!(all.matches('\n').count(), all.matches("\r\n").count());
}

#[test]
fn a_stream_can_end_early() {
    let cut = steps(json!({"cut_after_events": 2}));
    assert_eq!(writes(&cut).len(), 2);
    assert_eq!(cut.last(), Some(&Step::Abort));
    let cut = steps(json!({"cut_after_bytes": 5}));
    assert_eq!(writes(&cut), ["event"]);
    assert_eq!(cut.last(), Some(&Step::Abort));
    let end = steps(json!({"end_after_events": 99}));
    assert_eq!(writes(&end).len(), 3);
    assert_ne!(end.last(), Some(&Step::Abort));
    let error = steps(json!({"error_after_events": 2}));
    assert_eq!(writes(&error)[2], "data: error\n\n");
    assert_eq!(writes(&error).len(), 3);
    assert_eq!(steps(json!({"cut_after_events": 0})).len(), 3);
}

#[test]
fn tokens_are_paced_and_the_rest_is_not() {
    let ms = |ms| Step::Until(Duration::from_millis(ms));
    let steps = steps(json!({"ttft_ms": 100, "tokens_per_second": 50}));
    let waits: Vec<_> = steps.iter().filter(|step| matches!(step, Step::Until(_))).collect();
    assert_eq!(waits, [&ms(100), &ms(120)]);
    assert!(
        matches!(steps[0], Step::Write(..)),
        "what comes before the first token is not held back"
    );
}

#[test]
fn a_stall_holds_back_what_follows() {
    let ms = |ms| Step::Until(Duration::from_millis(ms));
    assert_eq!(steps(json!({"stall_after_events": 0, "stall_ms": 10}))[0], ms(10));
    assert_eq!(steps(json!({"stall_after_events": 4, "stall_ms": 10})).last(), Some(&ms(10)));
    let cut = steps(json!({"stall_after_events": 1, "stall_ms": 10, "cut_after_events": 1}));
    assert_eq!(cut[1], ms(10));
    assert_eq!(cut.last(), Some(&Step::Abort));
    let whole = steps(json!({"stall_after_events": 1, "stall_ms": 10, "split": "whole"}));
    assert_eq!(whole[0], ms(10));
}

#[test]
fn json_can_be_spoilt() {
    assert_eq!(writes(&steps(json!({"garbage": true})))[1], "data: <not json>\n\n");
    assert_eq!(writes(&steps(json!({"truncate_json": true})))[2], "data: t\n\n");
}

#[test]
fn a_whole_body_is_split_and_cut_too() {
    let body = |value| plan_body(b"0123456789".to_vec(), &script(value));
    assert_eq!(writes(&body(json!({}))), ["0123456789"]);
    assert_eq!(writes(&body(json!({"split": {"every": 4}}))), ["0123", "4567", "89"]);
    assert_eq!(writes(&body(json!({"end_after_events": 0}))), ["0123456789"]);
    assert_eq!(body(json!({"ttft_ms": 5}))[0], Step::Until(Duration::from_millis(5)));
    let cut = body(json!({"cut_after_bytes": 3}));
    assert_eq!((writes(&cut), cut.last()), (vec!["012".to_owned()], Some(&Step::Abort)));
    assert!(writes(&body(json!({"cut_after_events": 0}))).is_empty());
}
