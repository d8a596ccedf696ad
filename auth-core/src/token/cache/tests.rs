use std::time::Duration;

use super::*;
use crate::keys::Key;
use crate::token::claims::RegisteredClaims;
use crate::token::verify::TrustedIssuer;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A cache, and the issuer of its tokens.
struct World {
    cache: TokenCache<u32>,
    issuers: TrustedIssuers,
    times: TimeRules,
}

impl World {
    fn new(tokens: usize) -> Self {
        let issuer = TrustedIssuer::for_issuer("i")
            .audience("a")
            .keys(Key::hs256("k", &[7; 32]).unwrap());
        Self {
            cache: TokenCache::new(tokens).unwrap().unwrap(),
            issuers: TrustedIssuers::new(issuer, Vec::new()).unwrap(),
            times: TimeRules::default(),
        }
    }

    fn put(&self, token: &str, value: u32) {
        let registered = RegisteredClaims {
            expires_at: NOW.saturating_add(Duration::from_secs(60)),
            ..Default::default()
        };
        let verified_under = VerifiedUnder {
            issuer: 0,
            revision: 0,
        };
        let verified = Verified::shared(registered, value);
        self.cache.insert(token, verified, verified_under);
    }

    fn held(&self, token: &str) -> Option<u32> {
        let found = self.cache.get(token, &self.issuers, &self.times, NOW);
        found.map(|verified| verified.unwrap().private)
    }
}

#[test]
fn the_whole_token_is_compared_where_all_that_is_hashed_is_the_same() {
    let world = World::new(100);
    let end = "s".repeat(HASHED);
    let [one, two, three] = ["1", "2", "3"].map(|start| format!("{start}.{end}"));
    world.put(&one, 1);
    world.put(&two, 2);
    assert_eq!(world.held(&one), Some(1));
    assert_eq!(world.held(&two), Some(2));
    assert_eq!(world.held(&three), None);
    assert_eq!(world.held(&one[1..]), None);
    assert_eq!(world.held(&format!("{one}s")), None);
}

#[test]
fn it_never_holds_more_tokens_or_bytes_than_it_may() {
    for tokens in [2, 7, 8, 9, 100, 1000] {
        let world = World::new(tokens);
        for n in 0..3000_u32 {
            let token = format!("{n:0>width$}", width = 1 + (n as usize * 37) % 2000);
            world.put(&token, n);
            let status = world.cache.status();
            assert!(status.tokens <= tokens, "{status:?}");
            assert!(status.bytes <= tokens * BYTES_PER_TOKEN, "{status:?}");
        }
        assert!(world.cache.status().tokens >= tokens / 3, "{tokens}");
    }
}

#[test]
fn a_token_too_large_for_all_the_room_there_is_is_left_out() {
    let world = World::new(2);
    world.put("small", 1);
    world.put(&"x".repeat(BYTES_PER_TOKEN), 2);
    assert_eq!(world.held("small"), Some(1));
    assert_eq!(world.held(&"x".repeat(BYTES_PER_TOKEN)), None);
}

#[test]
fn the_same_token_again_takes_its_own_place() {
    let world = World::new(100);
    for n in 0..10 {
        world.put("token", n);
    }
    assert_eq!(
        (world.cache.status().tokens, world.held("token")),
        (1, Some(9))
    );
}

#[test]
fn one_that_is_used_outlives_many_that_are_not() {
    let world = World::new(8);
    world.put("used", 0);
    for n in 1..200 {
        assert_eq!(world.held("used"), Some(0), "before {n}");
        world.put(&format!("once {n}"), n);
    }
}

#[test]
fn debug_shows_no_token() {
    let world = World::new(2);
    world.put("marked", 1);
    assert!(!format!("{:?}", world.cache).contains("marked"));
}

#[test]
fn what_readers_find_while_others_write_is_right() {
    let world = World::new(64);
    let tokens: Vec<String> = (0..200).map(|n| format!("token {n}")).collect();
    std::thread::scope(|scope| {
        for start in 0..2 {
            let (world, tokens) = (&world, &tokens);
            scope.spawn(move || {
                for round in 0..50 {
                    for n in 0..200_u32 {
                        let n = (n * 7 + start + round) % 200;
                        let token = &tokens[n as usize];
                        match world.held(token) {
                            Some(found) => assert_eq!(found, n),
                            None => world.put(token, n),
                        }
                    }
                }
            });
        }
    });
    assert!(world.cache.status().tokens <= 64);
}
