//! Pairs that differ, and pairs that do not.

use super::*;

fn differs(a: &str, b: &str, why: Why) {
    assert_eq!(differ(a, b), Some(why), "{a} | {b}");
    assert!(differ(b, a).is_some(), "{b} | {a}");
    assert_eq!(differ(a, a), None);
}

fn agrees(a: &str, b: &str) {
    assert_eq!(differ(a, b), None, "{a} | {b}");
    assert_eq!(differ(b, a), None, "{b} | {a}");
}

#[test]
fn numbers_and_units_must_agree() {
    differs("How far is 5 km?", "How far is 6 km?", Why::Number);
    differs("What is 7 + 3?", "What is 7 - 3?", Why::Number);
    differs("List three fruits", "List four fruits", Why::Number);
    differs("Convert 5 km to feet", "Convert 5 miles to feet", Why::Unit);
    differs("Is 3.5 enough for a pass", "Is 3.6 enough for a pass", Why::Number);
    differs("Is Python 3.9 slow?", "Is Python 3.10 slow?", Why::Number);
    agrees("How far is 1,000 km in steps?", "How far is 1000 kilometers in steps?");
    agrees("Name two rivers of Spain", "Name 2 rivers of Spain");
}

#[test]
fn who_says_no_means_something_else() {
    differs("Which phones support NFC?", "Which phones don't support NFC?", Why::Negation);
    differs("Can I drive with a licence?", "Can I drive without a licence?", Why::Negation);
    differs("Is it safe to eat raw eggs?", "Is it unsafe to eat raw eggs?", Why::Polarity);
    differs("Is Java a compiled language?", "Is Java not a compiled language?", Why::Negation);
    agrees("Why doesn't my printer print?", "Why does my printer not print?");
}

#[test]
fn opposites_are_not_the_same() {
    differs("How do I enable dark mode?", "How do I disable dark mode?", Why::Polarity);
    differs("How do I turn on the alarm?", "How do I turn off the alarm?", Why::Polarity);
    differs("What to eat before a run?", "What to eat after a run?", Why::Polarity);
    differs(
        "What is the highest mountain of Peru?",
        "What is the lowest mountain of Peru?",
        Why::Polarity,
    );
    differs("How is iron imported?", "How is iron exported?", Why::Polarity);
    differs("Is this plant useful?", "Is this plant useless?", Why::Polarity);
    differs(
        "What is the best thing about your worst day?",
        "What is the worst thing about your best day?",
        Why::Polarity,
    );
}

#[test]
fn who_asks_for_more_wants_more() {
    differs("What is acupuncture?", "What is acupuncture? How does it work?", Why::Aspect);
    differs("How do I learn French? Is it hard?", "How do I learn French?", Why::Aspect);
    agrees("I have a red car. How do I sell it?", "I have a red car: how do I sell it?");
}

#[test]
fn directions_are_not_turned() {
    differs(
        "Translate it from German to Dutch",
        "Translate it from Dutch to German",
        Why::Direction,
    );
    differs("How to convert CSV to XML", "How to convert XML to CSV", Why::Direction);
    differs("Is Rust faster than Go?", "Is Go faster than Rust?", Why::Direction);
    agrees("Rust vs Java: which one is faster?", "Java vs Rust: which one is faster?");
}

#[test]
fn quotations_and_names_must_agree() {
    differs("What does \"ubi\" mean?", "What does \"sum\" mean?", Why::Quotation);
    differs("What is the capital of France?", "What is the capital of Spain?", Why::Entity);
    differs("Who leads the NBA?", "Who leads the NFL?", Why::Entity);
    differs("My name is Ann. Write a poem.", "My name is Bea. Write a poem.", Why::Entity);
    agrees("What is the capital of France?", "What's France's capital?");
}

#[test]
fn one_thing_is_not_another() {
    differs(
        "Write a short overview of horses",
        "Write a short overview of donkeys",
        Why::Substitution,
    );
    differs("How do I cook rice?", "How do I cook pasta?", Why::Substitution);
    differs("When was it built?", "Where was it built?", Why::Aspect);
}

#[test]
fn the_same_in_other_words_passes() {
    agrees("How do I install Docker on Ubuntu?", "Docker installation on Ubuntu, how?");
    agrees("How can I delete my account?", "What is the best way to remove my account?");
    agrees("What is machine learning?", "Define machine learning");
    agrees("Explain recursion in simple terms", "Can you explain recursion simply?");
    agrees("How do I learn to swim?", "What is the best way to learn swimming?");
}

#[test]
fn chinese_is_compared_too() {
    differs("怎么开通夜间模式？", "怎么关闭夜间模式？", Why::Polarity);
    differs("如何启用通知", "如何禁用通知", Why::Polarity);
    differs("会员可以退款吗？", "会员不可以退款吗？", Why::Negation);
    differs("300元怎么分期？", "600元怎么分期？", Why::Number);
    differs("第三章讲了什么", "第四章讲了什么", Why::Number);
    differs("介绍一下上海", "介绍一下北京", Why::Substitution);
    differs("怎么登录QQ", "怎么登录WPS", Why::Entity);
    differs("从北京到上海怎么走", "从上海到北京怎么走", Why::Direction);
    differs("为什么不能提现", "怎么不能提现", Why::Aspect);
    agrees("怎么开通花呗？", "花呗如何开通");
    agrees("请问怎么修改密码", "密码怎么修改？");
}

#[test]
fn languages_are_told_by_their_letters() {
    for (text, expected) in [
        ("What is π?", Language::En),
        ("Où est la gare?", Language::En),
        ("怎么开通 VIP？", Language::Zh),
        ("これは何ですか", Language::Other),
        ("이것은 무엇입니까", Language::Other),
        ("Что это?", Language::Other),
        ("42", Language::En),
    ] {
        assert_eq!(language(text), expected, "{text}");
    }
}
