//! The specifics of the memory store: it is bounded, and gives memory back.

use std::sync::Arc;
use std::time::Duration;

use auth_core::Timestamp;
use auth_core::session::SessionId;
use auth_core::store::{
    InsertOutcome, Listing, NewSession, RefreshStore, RevocationMark, SessionDetails, StoreClock,
    StoreErrorKind,
};
use auth_core::testing::{ManualClock, MemoryStore};

use crate::world::{days, secs};

fn store(capacity: usize) -> (Arc<ManualClock>, MemoryStore) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let store = MemoryStore::new()
        .with_capacity(capacity)
        .with_clock(StoreClock::driven(clock.clone()));
    (clock, store)
}

async fn insert(
    store: &MemoryStore,
    number: u64,
    details: &SessionDetails,
) -> Result<InsertOutcome, StoreErrorKind> {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let subject = format!("user{number}");
    let session = NewSession {
        id: SessionId::from_bytes(id),
        subject: &subject,
        subject_version: 0,
        idle: secs(3600),
        absolute: days(1),
        details,
        limit: None,
        replaces: None,
        mark: RevocationMark::from_bytes([0; 16]),
        listing: Listing {
            lifetime: Duration::ZERO,
            margin: Duration::ZERO,
        },
    };
    store.insert(&session).await.map_err(|error| error.kind())
}

#[tokio::test]
async fn e15_the_memory_store_is_bounded_and_throws_nobody_out() {
    let (_, store) = store(100);
    let details = SessionDetails::default();
    for number in 0..100 {
        insert(&store, number, &details).await.unwrap();
    }
    for number in 100..200 {
        let full = insert(&store, number, &details).await;
        assert_eq!(full, Err(StoreErrorKind::Full));
    }
    assert_eq!(store.len(), 100);
    let mut first = [0; 16];
    first[7] = 1;
    assert!(
        store
            .load(&SessionId::from_bytes(first))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn e15_a_million_logins_expire_and_leave_nothing() {
    let (clock, store) = store(150_000);
    let details = SessionDetails::default();
    for number in 0..1_000_000 {
        if number % 100_000 == 0 {
            clock.advance(days(2));
        }
        insert(&store, number, &details).await.unwrap();
        assert!(store.len() <= 150_000);
    }
    clock.advance(days(2));
    while store.purge(days(1), 10_000).await.unwrap() == 10_000 {}
    assert!(store.is_empty());
}
