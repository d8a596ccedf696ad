//! The contents of the document.

use base64_simd::URL_SAFE_NO_PAD;

use crate::keys::rotation::tests::*;

/// The private members of a document's signing keys.
fn private_members(memory: &Memory) -> Vec<bool> {
    memory
        .text()
        .split("\"key\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .map(|key| String::from_utf8(URL_SAFE_NO_PAD.decode_to_vec(key).unwrap()).unwrap())
        .map(|jwk| jwk.contains("\"d\":"))
        .collect()
}

#[tokio::test]
async fn a_retiring_key_is_kept_without_its_private_half() {
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    clock.set(at(370));
    node.step().await.unwrap();
    clock.set(at(1009));
    node.step().await.unwrap();
    assert_eq!(private_members(&memory), [true, true]);
    clock.set(at(1010));
    node.step().await.unwrap();
    assert_eq!(private_members(&memory), [false, true]);

    // A starting node with a late clock signs with the key that all nodes know.
    let behind = Arc::new(ManualClock::at(at(990)));
    let late = start(&memory, &behind).await;
    assert_eq!(signing_id(&late), signing_id(&node));
    assert_eq!(ids(&late), ids(&node));
}
