//! A node that cannot read the document, and documents that are lost or broken.

use crate::keys::rotation::tests::*;

#[tokio::test]
async fn f09_a_node_that_is_cut_off_stops_before_it_could_be_wrong() {
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    let jwks = node.jwks();
    memory.cut_off(true);
    let mut after = async |now| {
        clock.set(at(now));
        node.step().await.unwrap_err();
        let published = jwks.respond(&endpoint::get()).status() == 200;
        (published, signing_id(&node).is_some(), ids(&node).len())
    };
    assert_eq!(after(20).await, (true, true, 1));
    assert_eq!(after(21).await, (false, true, 1));
    assert_eq!(after(629).await, (false, true, 1));
    assert_eq!(after(630).await, (false, false, 1));
    assert_eq!(after(704).await, (false, false, 1));
    assert_eq!(after(705).await, (false, false, 0));
    memory.cut_off(false);
    node.step().await.unwrap();
    assert!(signing_id(&node).is_some());
    assert_eq!(jwks.respond(&endpoint::get()).status(), 200);
}

#[tokio::test]
async fn a_lost_document_is_written_again_with_the_same_keys() {
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    let before = ids(&node);
    *memory.kept.lock().unwrap() = None;
    node.step().await.unwrap();
    assert_eq!(ids(&node), before);
    let other = start(&memory, &clock).await;
    assert_eq!(ids(&other), before);
}

#[tokio::test]
async fn a_broken_document_changes_nothing_and_is_not_overwritten() {
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    let before = ids(&node);
    let text = memory.text();
    let twice = {
        let (head, rest) = text.split_once("[{").unwrap();
        let (entry, tail) = rest.split_once("}]").unwrap();
        let (a, b) = entry.split_once("\"signs_from\":").unwrap();
        let (_, c) = b.split_once(',').unwrap();
        format!("{head}[{{{entry}}},{{{a}\"signs_from\":9800000000000,{c}}}]{tail}")
    };
    for broken in [
        String::from("{}"),
        text.replace(&before[0], "other"),
        twice,
        String::new(),
    ] {
        let broken = KeySet::from_bytes(broken.into_bytes());
        *memory.kept.lock().unwrap() = Some((9, broken.clone()));
        let error = node.step().await.unwrap_err();
        assert!(matches!(
            error,
            RotationError::Persistence(error) if error.kind() == PersistenceErrorKind::Corrupt
        ));
        assert_eq!(ids(&node), before);
        let kept = memory.kept.lock().unwrap().clone().unwrap();
        assert_eq!(kept.1.expose(), broken.expose());
    }
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let memory = Memory::default();
    let node = start(&memory, &clock()).await;
    let text = memory.text();
    let secret = text.split("\"key\":\"").nth(1).unwrap();
    let secret = &secret[..40];
    assert!(!format!("{node:?} {:?}", node.health()).contains(secret));
}
