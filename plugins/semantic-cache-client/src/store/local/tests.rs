//! What is kept, found, purged and claimed in the proxy's memory.

use shared::host::Capability;
use shared::host::script::ScriptHost;

use super::*;
use crate::record::Head;

fn entry(key: &Key, tenant: &str, user: &str, until: u64, body: &str) -> Entry {
    let head = Head {
        owners: [tenant, "c", user].map(|text| Key::of(text).number()),
        expires: until,
        stale_until: until,
        ..Head::default()
    };
    Entry::new(key, head, body.as_bytes().to_vec())
}

fn at(host: &ScriptHost, second: u64) {
    host.now_nanos.set(second * 1_000_000_000);
}

fn keep(local: &Local, host: &ScriptHost, key: &Key, entry: &Entry) -> Kept {
    let keeping = Keeping { until: entry.head.stale_until, epoch: None, claim: None };
    local.put(host, key, entry, keeping)
}

fn both(run: impl Fn(&ScriptHost)) {
    run(&ScriptHost::default());
    let mut alone = ScriptHost::default();
    alone.cannot.insert(Capability::SharedData);
    run(&alone);
    assert!(alone.shared.borrow().is_empty());
}

#[test]
fn what_was_put_is_got_until_its_end() {
    both(|host| {
        let local = Local::new(100, 1 << 20);
        let key = Key::of("a");
        at(host, 1);
        assert_eq!(local.get(host, &key), None);
        let answer = entry(&key, "t", "s", 10, "{}");
        assert_eq!(keep(&local, host, &key, &answer), Kept::Yes(0));
        at(host, 9);
        assert_eq!(local.get(host, &key), Some(answer));
        assert_eq!(local.get(host, &Key::of("b")), None);
        at(host, 10);
        assert_eq!(local.get(host, &key), None);
        let large = entry(&key, "t", "s", 99, &"x".repeat(1 << 20));
        assert_eq!(keep(&local, host, &key, &large), Kept::TooLarge);
    });
}

#[test]
fn workers_see_each_others_answers() {
    let host = ScriptHost::default();
    let (one, two) = (Local::new(100, 1 << 20), Local::new(100, 1 << 20));
    let key = Key::of("a");
    keep(&one, &host, &key, &entry(&key, "t", "s", 10, "{}"));
    assert!(two.get(&host, &key).is_some());
}

#[test]
fn it_is_bounded_and_what_is_used_stays() {
    both(|host| {
        let local = Local::new(64, 64 << 10);
        let used = Key::of("used");
        keep(&local, host, &used, &entry(&used, "t", "s", 1 << 31, "{}"));
        let mut lost = 0;
        for number in 0..1_000_u64 {
            at(host, 100 + number * 100);
            let key = Key::of(&number.to_string());
            let answer = entry(&key, "t", "s", 1 << 31, &"x".repeat(2_000));
            let Kept::Yes(gone) = keep(&local, host, &key, &answer) else { panic!() };
            lost += gone;
            assert!(local.get(host, &used).is_some(), "{number}");
        }
        assert!(lost > 900);
        let there = |n: &u64| local.get(host, &Key::of(&n.to_string())).is_some();
        let kept = (0..1_000).filter(there).count();
        assert!((10..=64).contains(&kept), "{kept}");
    });
    let host = ScriptHost::default();
    let local = Local::new(64, 64 << 10);
    for number in 0..1_000_u64 {
        at(&host, number);
        let key = Key::of(&number.to_string());
        keep(&local, &host, &key, &entry(&key, "t", "s", 1 << 31, &"x".repeat(2_000)));
    }
    let bytes: usize = host.shared.borrow().values().map(|shared| shared.value.len()).sum();
    assert!(bytes < 70 << 10, "{bytes}");
}

#[test]
fn purges_reach_what_they_mean() {
    both(|host| {
        let local = Local::new(1_000, 1 << 20);
        let names = ["a", "b", "c", "d"];
        let owners = [("t1", "s1"), ("t1", "s2"), ("t2", "s1"), ("t2", "s2")];
        for (name, (tenant, subject)) in names.iter().zip(owners) {
            let key = Key::of(name);
            keep(&local, host, &key, &entry(&key, tenant, subject, 99, "{}"));
        }
        let there = || names.map(|name| local.get(host, &Key::of(name)).is_some());
        let epoch = local.epoch(host);
        assert_eq!(local.purge(host, &Purge::User(Key::of("s1"))), 2);
        assert_eq!(there(), [false, true, false, true]);
        assert_eq!(local.purge(host, &Purge::Tenant(Key::of("t1"))), 1);
        assert_eq!(there(), [false, false, false, true]);
        assert_eq!(local.purge(host, &Purge::Key(Key::of("c"))), 0);
        assert_eq!(local.purge(host, &Purge::Consumer(Key::of("other"))), 0);
        assert_eq!(local.purge(host, &Purge::Consumer(Key::of("c"))), 1);
        assert_eq!(local.purge(host, &Purge::All), 0);
        assert_eq!(there(), [false; 4]);
        assert_eq!(local.epoch(host), epoch + 6);
        let left = host.shared.borrow().values().any(|v| v.value.windows(2).any(|w| w == b"{}"));
        assert!(!left, "no byte of an answer is left");
    });
}

#[test]
fn what_was_asked_before_a_purge_is_not_kept_after_it() {
    both(|host| {
        let local = Local::new(1_000, 1 << 20);
        local.prepare(host);
        let (key, other) = (Key::of("a"), Key::of("b"));
        let answer = entry(&key, "t", "s", 99, "{}");
        let put = |epoch| {
            local.put(host, &key, &answer, Keeping { until: 99, epoch: Some(epoch), claim: None })
        };
        for purge in [Purge::All, Purge::Key(key), Purge::User(Key::of("other"))] {
            let epoch = local.look(host, &key, None).epoch;
            local.purge(host, &purge);
            assert_eq!(put(epoch), Kept::Purged);
            assert_eq!(local.get(host, &key), None);
        }
        let epoch = local.look(host, &key, None).epoch;
        local.purge(host, &Purge::Key(other));
        assert_ne!(other.number() % local.sets, key.number() % local.sets);
        assert_eq!(put(epoch), Kept::Yes(0));
    });
}

fn fill(local: &Local, host: &ScriptHost, key: &Key) -> Fill {
    local.look(host, key, None).fill
}

#[test]
fn one_has_the_claim_until_it_is_given_back() {
    let host = ScriptHost::default();
    let (one, two) = (Local::new(100, 1 << 20), Local::new(100, 1 << 20));
    one.prepare(&host);
    let key = Key::of("a");
    let seen = two.look(&host, &key, None);
    assert_eq!(seen.fill, Fill::Nobody);
    let Claimed::Mine(owner) = one.claim(&host, &key, 100, None) else { panic!() };
    // By what it saw before, it would be its own.
    assert_eq!(two.claim(&host, &key, 100, Some(seen)), Claimed::Others);
    assert_eq!(two.claim(&host, &key, 100, None), Claimed::Others);
    assert_eq!(fill(&two, &host, &key), Fill::Somebody);
    assert!(matches!(two.claim(&host, &Key::of("b"), 100, None), Claimed::Mine(_)));
    // Somebody else's number gives nothing back.
    two.release(&host, &key, owner + 77, false);
    assert_eq!(fill(&one, &host, &key), Fill::Somebody);
    one.release(&host, &key, owner, false);
    assert_eq!(fill(&one, &host, &key), Fill::Nobody);
    let seen = two.look(&host, &key, None);
    assert!(matches!(two.claim(&host, &key, 100, Some(seen)), Claimed::Mine(_)));
}

#[test]
fn a_claim_ends_by_itself() {
    let host = ScriptHost::default();
    let local = Local::new(100, 1 << 20);
    let key = Key::of("a");
    assert!(matches!(local.claim(&host, &key, 100, None), Claimed::Mine(_)));
    host.now_nanos.set(100_000_000);
    assert_eq!(fill(&local, &host, &key), Fill::Nobody);
    assert!(matches!(local.claim(&host, &key, 100, None), Claimed::Mine(_)));
}

#[test]
fn nobody_waits_for_what_is_not_kept() {
    let host = ScriptHost::default();
    let local = Local::new(100, 1 << 20);
    let key = Key::of("a");
    let Claimed::Mine(owner) = local.claim(&host, &key, 100, None) else { panic!() };
    local.release(&host, &key, owner, true);
    assert_eq!(fill(&local, &host, &key), Fill::Free);
    assert_eq!(local.claim(&host, &key, 100, None), Claimed::Free);
    host.now_nanos.set(FREE * 1_000_000);
    assert_eq!(fill(&local, &host, &key), Fill::Nobody);
}

#[test]
fn who_comes_between_a_look_and_an_answer_does_not_fetch_it_again() {
    let host = ScriptHost::default();
    let (one, two) = (Local::new(100, 1 << 20), Local::new(100, 1 << 20));
    one.prepare(&host);
    at(&host, 5);
    let key = Key::of("a");
    let Claimed::Mine(owner) = one.claim(&host, &key, 100, None) else { panic!() };
    let seen = two.look(&host, &key, None);
    let answer = entry(&key, "t", "s", 99, "{}");
    let keeping = Keeping { until: 99, epoch: None, claim: Some(owner) };
    assert_eq!(one.put(&host, &key, &answer, keeping), Kept::Yes(0));
    assert_eq!(fill(&two, &host, &key), Fill::Nobody);
    assert_eq!(two.claim(&host, &key, 100, Some(seen)), Claimed::Others);
    // The index has been changed, and the answer is about to be.
    let set = key.number() % one.sets;
    host.set_shared(&place_name(set, 0), b"", 0).unwrap();
    assert_eq!(fill(&two, &host, &key), Fill::Somebody);
    at(&host, 8);
    assert_eq!(fill(&two, &host, &key), Fill::Nobody);
}

#[test]
fn what_was_seen_is_not_read_again_as_long_as_nothing_has_changed() {
    let host = ScriptHost::default();
    let (one, two) = (Local::new(100, 1 << 20), Local::new(100, 1 << 20));
    one.prepare(&host);
    let key = Key::of("a");
    let keeping = Keeping { until: 99, epoch: None, claim: None };
    let put = |body| one.put(&host, &key, &entry(&key, "t", "s", 99, body), keeping);
    let body = |seen: &Seen| seen.entry.as_ref().map(|entry| entry.body.clone()).unwrap();
    at(&host, 5);
    put("old");
    assert_eq!(two.look(&host, &key, None).state, None, "another one may be on its way");
    at(&host, 8);
    let seen = two.look(&host, &key, None);
    let known = (seen.state.unwrap(), seen.entry.unwrap());
    // Read again it would not be there.
    let place = place_name(key.number() % one.sets, 0);
    let kept = host.shared(&place).unwrap().value;
    host.set_shared(&place, b"", 0).unwrap();
    assert_eq!(body(&two.look(&host, &key, Some(&known))), b"old");
    host.set_shared(&place, &kept, 0).unwrap();
    // One that takes its place within the same second is seen.
    put("new");
    assert_eq!(body(&two.look(&host, &key, Some(&known))), b"new");
}
