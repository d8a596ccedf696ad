//! CHECKLIST F05: after any response of a provider, the current keys stay, and time, bytes and
//! memory are bounded.

use std::time::Duration;

use allocation_counter::measure;
use auth_core::Algorithm;
use auth_core::remote::FetchFault;
use auth_jwks::RemoteIssuer;
use auth_jwks::testing::{Document, FakeAnswer, FakeProvider};

use crate::world::{COOL_DOWN, REFRESH, World, clock, until};

/// Limit of sent bytes: 64 KiB of a document, the heads, and the bytes in flight when the reading
/// ends.
const MAX_SENT: u64 = 1024 * 1024;
/// Peak memory of a refresh: the document, its parsed form, and the client's buffers.
const MAX_MEMORY: u64 = 2 * 1024 * 1024;
/// 5 seconds for a response, 10 for a fetch, and a margin for a busy machine.
const MAX_TIME: Duration = Duration::from_secs(15);

/// Number of attempts after a response that came too late.
const MAX_ATTEMPTS: u64 = 4;

const MIB: usize = 1024 * 1024;

fn hostile_answers() -> Vec<(FakeAnswer, FetchFault)> {
    use FetchFault::{Malformed, Redirected, Status, TimedOut, TooLarge, TooManyKeys, Unreachable};
    let redirect = |to: &str| (FakeAnswer::Redirect(to.to_owned()), Redirected);
    let text = |text: String| (FakeAnswer::Text(text), Malformed);
    vec![
        (FakeAnswer::Padded(10 * MIB), TooLarge),
        (FakeAnswer::PaddedUnannounced(10 * MIB), TooLarge),
        (FakeAnswer::Padded(64 * 1024 + 1), TooLarge),
        (FakeAnswer::PaddedUnannounced(64 * 1024 + 1), TooLarge),
        (FakeAnswer::Endless, TooLarge),
        (FakeAnswer::EndlessHead, Unreachable),
        (FakeAnswer::Keys(100_000), TooLarge),
        (FakeAnswer::Keys(65), TooManyKeys),
        (FakeAnswer::Compressed, Malformed),
        (FakeAnswer::Drip(Duration::from_millis(200)), TimedOut),
        (FakeAnswer::Hang, TimedOut),
        (FakeAnswer::HangUp, Unreachable),
        (FakeAnswer::CutShort, Unreachable),
        (FakeAnswer::Html, Malformed),
        (FakeAnswer::Status(404), Status),
        (FakeAnswer::Status(500), Status),
        (FakeAnswer::Status(204), Status),
        (FakeAnswer::Status(206), Status),
        (FakeAnswer::RedirectLoop, Redirected),
        redirect("http://169.254.169.254/latest/meta-data/"),
        redirect("file:///etc/passwd"),
        redirect("http://127.0.0.1:1/"),
        redirect("https://evil.example/jwks"),
        text(String::new()),
        text("null".to_owned()),
        text("{}".to_owned()),
        text(r#"{"keys":null}"#.to_owned()),
        text(r#"{"keys":[],"keys":[]}"#.to_owned()),
        text("[".repeat(60_000)),
        text(r#"{"keys":["#.to_owned() + &"[".repeat(60_000)),
        text(r#"{"keys":[{"x":"#.to_owned() + &r#"{"x":"#.repeat(10_000)),
        text("9".repeat(60_000)),
        text("{\"keys\":[\"\u{0}\"]}".to_owned()),
    ]
}

/// The cost of a hostile response.
struct Cost {
    bytes: u64,
    memory: u64,
    time: Duration,
}

/// A refresh that gets this response, in a separate thread, because memory is counted per thread.
#[allow(clippy::disallowed_methods, reason = "this is about real time")]
fn survive(answer: &FakeAnswer, expected: FetchFault) -> Cost {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::loaded());
    world.provider.answer(Document::Jwks, answer.clone());
    world.advance(REFRESH);
    let token = world.token();
    let mut attempts = 0;
    let (bytes, memory, time) = loop {
        attempts += 1;
        let sent = world.provider.bytes_sent();
        let begin = std::time::Instant::now();
        let memory = measure(|| {
            runtime.block_on(async {
                assert_eq!(world.at_once(&token), Some(200));
                until(|| world.keys.status().failures == attempts).await;
            });
        });
        let time = begin.elapsed();
        // On a busy machine the provider may be too slow for its fault.
        let late = world.keys.status().last_fault == Some(FetchFault::TimedOut);
        if expected == FetchFault::TimedOut || !late || attempts == MAX_ATTEMPTS {
            break (world.provider.bytes_sent() - sent, memory.bytes_max, time);
        }
        world.advance(COOL_DOWN);
    };
    let status = world.keys.status();
    assert_eq!(status.last_fault, Some(expected), "{answer:?}");
    assert_eq!((status.keys, status.usable), (1, true), "{answer:?}");
    let asked = world.provider.requests(Document::Jwks);
    assert_eq!(asked, 1 + attempts, "{answer:?}");
    // The earlier keys stay, and a provider without faults is accepted again.
    assert_eq!(world.at_once(&token), Some(200), "{answer:?}");
    world.provider.answer(Document::Jwks, FakeAnswer::Document);
    let key = world.provider.rotate();
    world.advance(COOL_DOWN);
    let recovered = runtime.block_on(world.status(&world.token()));
    assert_eq!(recovered, 200, "{answer:?} {}", key.id());
    Cost {
        bytes,
        memory,
        time,
    }
}

#[test]
fn f05_every_hostile_answer_is_survived_within_the_caps() {
    let answers = hostile_answers();
    let survive_apart = |(answer, expected): &(FakeAnswer, FetchFault)| {
        let (answer, expected) = (answer.clone(), *expected);
        std::thread::spawn(move || survive(&answer, expected))
    };
    // In small groups, so that a delay is the provider's, not the machine's.
    let costs = answers.chunks(8).flat_map(|some| {
        let running: Vec<_> = some.iter().map(survive_apart).collect();
        running.into_iter().map(|case| case.join().unwrap())
    });
    for ((answer, fault), cost) in answers.iter().zip(costs) {
        let Cost {
            bytes,
            memory,
            time,
        } = cost;
        let mut name = format!("{answer:?}");
        name.truncate(40);
        println!(
            "f05: {name:40} {fault:?}: {bytes} bytes sent, {memory} bytes of memory, {time:?}"
        );
        assert!(bytes < MAX_SENT, "{name}: {bytes} bytes");
        assert!(memory < MAX_MEMORY, "{name}: {memory} bytes of memory");
        assert!(time < MAX_TIME, "{name}: {time:?}");
    }
    println!("f05: {} answers", answers.len());
}

#[tokio::test]
async fn f05_a_redirect_is_followed_nowhere() {
    let world = World::loaded().await;
    let elsewhere = FakeProvider::start().unwrap();
    world
        .provider
        .answer(Document::Jwks, FakeAnswer::Redirect(elsewhere.jwks_uri()));
    world.advance(REFRESH);
    world.refresh().await;
    assert_eq!(world.keys.status().last_fault, Some(FetchFault::Redirected));
    assert_eq!(elsewhere.connections(), 0);
    let theirs = elsewhere.token(world.now());
    let theirs = theirs.claim("iss", world.provider.issuer()).mint();
    assert_eq!(world.at_once(&theirs), Some(401));
}

#[tokio::test]
async fn f05_hostile_metadata_are_survived_as_well() {
    let cases = hostile_answers();
    // Slow cases run once only.
    let cases = cases
        .into_iter()
        .filter(|(_, fault)| *fault != FetchFault::TimedOut);
    for (answer, expected) in cases {
        let expected = match (&answer, expected) {
            // In metadata this is a normal response without keys.
            (FakeAnswer::Keys(65), _) => FetchFault::Malformed,
            // This leads to the next location, which works.
            (FakeAnswer::Status(404), _) => continue,
            (_, expected) => expected,
        };
        let provider = FakeProvider::start().unwrap();
        provider.answer(Document::OpenIdConfiguration, answer.clone());
        let clock = clock();
        let keys = RemoteIssuer::discover(provider.issuer())
            .algorithms([Algorithm::Es256])
            .with_clock(clock.clone())
            .start()
            .unwrap();
        let mut fault = keys.load().await.unwrap_err().fault();
        for _ in 1..MAX_ATTEMPTS {
            if fault == FetchFault::TimedOut {
                clock.advance(Duration::from_secs(COOL_DOWN));
                fault = keys.load().await.unwrap_err().fault();
            }
        }
        assert_eq!(fault, expected, "{answer:?}");
        assert!(provider.bytes_sent() < MAX_SENT, "{answer:?}");
        assert_eq!(provider.requests(Document::Jwks), 0);
    }
}

#[tokio::test]
async fn f05_an_error_says_nothing_that_the_other_side_sent() {
    const MARK: &str = "marked-by-the-provider";
    for answer in [
        FakeAnswer::Redirect(format!("http://{MARK}.example/")),
        FakeAnswer::Text(format!("{{\"keys\":[{{\"kid\":{MARK}")),
    ] {
        let provider = FakeProvider::start().unwrap();
        provider.answer(Document::Jwks, answer);
        provider.name_jwks_uri(&format!("{}?{MARK}", provider.jwks_uri()));
        for keys in [
            RemoteIssuer::discover(provider.issuer()),
            RemoteIssuer::jwks(provider.issuer(), provider.jwks_uri()),
        ] {
            let keys = keys.algorithms([Algorithm::Es256]).start().unwrap();
            let error = keys.load().await.unwrap_err();
            let mut said = format!("{error} {error:?} {keys:?}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                said += &format!(" {error} {error:?}");
                source = error.source();
            }
            assert!(!said.contains(MARK), "{said}");
        }
    }
}
