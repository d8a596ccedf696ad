//! The running task. The time is tokio's paused clock, which advances at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use crate::keys::Key;
use crate::keys::remote::*;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A clock that advances with tokio's.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        T0.saturating_add(self.0.elapsed())
    }
}

/// The reaction of an issuer to a fetch.
enum Does {
    Publish,
    Fail,
    /// Never responds.
    Hang,
}

/// An issuer that follows a plan, fetch by fetch, and publishes its keys after that.
struct Script {
    begin: Instant,
    document: String,
    plan: Mutex<VecDeque<Does>>,
    fetched_at: Mutex<Vec<u64>>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

#[async_trait]
impl FetchKeys for Script {
    async fn fetch(&self, _etag: Option<&str>) -> Result<FetchedKeys, FetchError> {
        let second = self.begin.elapsed().as_secs();
        self.fetched_at.lock().unwrap().push(second);
        let next = self.plan.lock().unwrap().pop_front();
        match next.unwrap_or(Does::Publish) {
            Does::Publish => Ok(FetchedKeys::document(self.document.as_str())),
            Does::Fail => Err(FetchError::new(FetchFault::Unreachable)),
            Does::Hang => std::future::pending().await,
        }
    }
}

fn start(plan: impl IntoIterator<Item = Does>) -> (RemoteKeys, Arc<Script>) {
    let begin = Instant::now();
    let (key, _) = Key::generate("1", Algorithm::Es256).unwrap();
    let script = Arc::new(Script {
        begin,
        document: format!(r#"{{"keys":[{}]}}"#, key.public_jwk().unwrap()),
        plan: Mutex::new(plan.into_iter().collect()),
        fetched_at: Mutex::default(),
    });
    let (keys, task) = RemoteKeys::new(
        "https://id.example",
        [Algorithm::Es256],
        Arc::clone(&script) as _,
        Arc::new(TokioClock(begin)),
    )
    .unwrap();
    tokio::spawn(task.run());
    (keys, script)
}

async fn pass(secs: u64) {
    sleep(Duration::from_secs(secs)).await;
}

impl Script {
    /// The seconds of all fetches.
    fn asked(&self) -> Vec<u64> {
        self.fetched_at.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn f09_a_set_is_fetched_again_in_the_background_without_any_request() {
    let (keys, script) = start([]);
    pass(1000).await;
    assert_eq!(script.asked(), [0; 0], "nobody has asked for a key yet");
    keys.load().await.unwrap();
    pass(1500).await;
    assert_eq!(script.asked(), [1000, 1480, 1960, 2440]);
    assert!(keys.status().usable);
}

#[tokio::test(start_paused = true)]
async fn f04_an_issuer_that_is_down_is_asked_every_thirty_seconds_and_no_more() {
    let down = std::iter::repeat_with(|| Does::Fail).take(200);
    let (keys, script) = start(std::iter::once(Does::Publish).chain(down));
    keys.load().await.unwrap();
    pass(4199).await;
    assert!(keys.status().usable);
    pass(1).await;
    assert!(!keys.status().usable, "an hour after it went stale");
    let asked = script.asked();
    let pauses: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[0], 480);
    assert!(pauses[1..].iter().all(|pause| *pause == 30), "{pauses:?}");
    // The keys return within one cool-down, without a request.
    script.plan.lock().unwrap().clear();
    pass(30).await;
    assert!(keys.status().usable);
}

#[tokio::test(start_paused = true)]
async fn f05_a_fetch_that_never_ends_is_ended_after_ten_seconds() {
    let (keys, script) = start([Does::Publish, Does::Hang]);
    keys.load().await.unwrap();
    pass(485).await;
    assert_eq!(script.asked(), [0, 480]);
    assert_eq!(keys.status().failures, 0, "under way");
    pass(6).await;
    let status = keys.status();
    assert_eq!(status.last_fault, Some(FetchFault::TimedOut));
    assert!(status.usable);
    pass(30).await;
    assert_eq!(script.asked(), [0, 480, 520]);
    assert_eq!(keys.status().last_fault, None);
}

#[tokio::test(start_paused = true)]
async fn f08_a_first_fetch_that_never_ends_answers_who_waits() {
    let (keys, _script) = start([Does::Hang]);
    let begin = Instant::now();
    assert_eq!(keys.load().await.unwrap_err().fault(), FetchFault::TimedOut);
    assert!(begin.elapsed() <= WAIT_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_handle_and_with_a_shutdown() {
    let (keys, script) = start([]);
    keys.load().await.unwrap();
    let clone = keys.clone();
    drop(keys);
    pass(500).await;
    assert_eq!(script.asked().len(), 2, "a clone keeps it");
    drop(clone);
    pass(5000).await;
    assert_eq!(script.asked().len(), 2);
    assert_eq!(Arc::strong_count(&script), 1, "the task is gone");

    let (keys, script) = start([]);
    keys.load().await.unwrap();
    keys.shutdown();
    pass(1000).await;
    assert_eq!(Arc::strong_count(&script), 1, "the task is gone");
    assert!(keys.status().usable, "what is known is still good");
    pass(4000).await;
    assert_eq!(keys.load().await.unwrap_err().fault(), FetchFault::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_answers_who_waits() {
    let (key, _) = Key::generate("1", Algorithm::Es256).unwrap();
    let script = Arc::new(Script {
        begin: Instant::now(),
        document: key.public_jwk().unwrap().to_owned(),
        plan: Mutex::default(),
        fetched_at: Mutex::default(),
    });
    let clock = Arc::new(TokioClock(script.begin));
    let (keys, task) =
        RemoteKeys::new("https://id.example", [Algorithm::Es256], script, clock).unwrap();
    let waiting = tokio::spawn({
        let keys = keys.clone();
        async move { keys.load().await }
    });
    pass(1).await;
    drop(task);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.fault(), FetchFault::Stopped);
}
