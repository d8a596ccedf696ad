use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use auth_core::rotation::{KeyRotation, KeySchedule};

use super::issuers::{Publisher, Shelf, fetched};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn trouble_with_an_issuers_keys_is_told_when_it_begins_and_when_it_is_over() {
    let world = World::new();
    let publisher = Publisher::new();
    let keys = publisher.keys(&world.clock, world.told.clone());
    keys.load().await.unwrap();
    publisher.down.store(true, Ordering::SeqCst);
    world.advance(600);
    fetched(&keys, 2).await;
    world.advance(30);
    fetched(&keys, 3).await;
    publisher.down.store(false, Ordering::SeqCst);
    world.advance(30);
    fetched(&keys, 4).await;
    let told = world.told.take();
    assert_eq!(told, ["issuer_failed unreachable", "issuer_recovered"]);
}

#[tokio::test(start_paused = true)]
async fn changes_of_our_own_keys_are_told_and_the_beginning_of_trouble() {
    let world = World::new();
    let shelf = Arc::new(Shelf::default());
    let schedule = KeySchedule::for_lifetime(Duration::from_secs(600));
    let mut rotation = KeyRotation::builder(shelf.clone(), schedule)
        .with_clock(world.clock.clone())
        .with_events(world.told.clone())
        .start()
        .await
        .unwrap();
    assert_eq!(world.told.take(), ["keys_changed schedule"]);
    rotation.rekey().await.unwrap();
    assert_eq!(world.told.take(), ["keys_changed rekey"]);
    shelf.down.store(true, Ordering::SeqCst);
    let running = rotation.run();
    let _ = tokio::time::timeout(Duration::from_secs(60), running).await;
    assert_eq!(world.told.take(), ["keys_failed"]);
}
