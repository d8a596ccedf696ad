//! Two nodes, each with a list of revocations and a verifier of access tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::clock::{Clock, Timestamp};
use crate::base::config::ConfigError;
use crate::base::id::SessionId;
use crate::guard::authenticator::Authenticator;
use crate::keys::Key;
use crate::keys::refresh::RefreshKey;
use crate::observe::events::{Event, Events};
use crate::revocation::{Revocation, Revocations, StalePolicy};
use crate::session::Sessions;
use crate::session::store::RefreshStore;
use crate::testing::FaultStore;
use crate::testing::store_kit::Broken;
use crate::testing::store_kit::model::published::{Feed, ISSUER, Published};
use crate::token::issuer::Issuer;

const KEY: &[u8; 32] = b"a key of the model, of no use el";
/// Leeway of the verifiers: the maximum.
pub(super) const LEEWAY: Duration = Duration::from_secs(5 * 60);
pub(super) const SHORT: Duration = Duration::from_secs(10 * 60);
pub(super) const LONG: Duration = Duration::from_secs(60 * 60);

pub(super) struct Node {
    pub(super) store: Arc<FaultStore>,
    pub(super) sessions: Sessions,
    pub(super) authenticator: Arc<Authenticator<Map<String, Value>>>,
    revocations: Revocations,
    /// Number of feed entries that the node has followed.
    pub(super) heard: usize,
    /// The requested ends, and the time until which the node must know each without the feed.
    pub(super) asked: Vec<KnownEnd>,
}

/// An end that nodes know, for tokens issued before it. (An end that stopped half-way may have
/// ended nothing.)
#[derive(Clone)]
pub(super) struct KnownEnd {
    pub(super) revocation: Revocation,
    /// Number of tokens issued by then.
    pub(super) made: u64,
}

/// The sessions in emitted ends, once per event.
#[derive(Debug, Default)]
pub(super) struct EmittedEnds(Mutex<Vec<SessionId>>);

impl Events for EmittedEnds {
    fn on_event(&self, event: &Event<'_>) {
        if let Event::Revoked {
            session: Some(session),
            confirmed: true,
            ..
        } = event
        {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.push(*session);
        }
    }
}

impl EmittedEnds {
    pub(super) fn take(&self) -> Vec<SessionId> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The shared parts of both nodes.
pub(super) struct Deployment {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) feed: Arc<Feed>,
    pub(super) told: Arc<EmittedEnds>,
}

impl Deployment {
    /// Starts a node, which loads the published entries.
    pub(super) fn start(
        &self,
        store: Arc<dyn RefreshStore>,
        lifetime: Duration,
    ) -> Result<Node, Broken> {
        let feed = Arc::clone(&self.feed);
        let published = Arc::new(Published { inner: store, feed });
        let store = Arc::new(FaultStore::new(published));
        self.build(store, lifetime)
            .map_err(|error| Broken::Promise(error.to_string()))
    }

    fn build(&self, store: Arc<FaultStore>, lifetime: Duration) -> Result<Node, ConfigError> {
        let issuer = Issuer::for_issuer(ISSUER)
            .audience("https://api.example")
            .keys(Key::hs256("model", KEY)?)?
            .with_lifetime(lifetime)?
            .with_jitter(0)?
            .with_clock(Arc::clone(&self.clock));
        let revocations = Revocations::new(StalePolicy::FailOpen, Arc::clone(&self.clock));
        let authenticator = issuer
            .authenticator()
            .with_leeway(LEEWAY)
            .with_revocations(revocations.clone())
            .build()?;
        let sessions = Sessions::builder(issuer, store.clone(), RefreshKey::new(1, KEY)?)
            .with_revocations(revocations.clone())
            .with_events(self.told.clone())
            .build()?;
        let mut node = Node {
            store,
            sessions,
            authenticator,
            revocations,
            heard: 0,
            asked: Vec::new(),
        };
        node.follow(&self.feed);
        Ok(node)
    }
}

impl Node {
    /// Follows the entries published since.
    pub(super) fn follow(&mut self, feed: &Feed) {
        let entries = feed.entries();
        for revocation in entries.iter().skip(self.heard) {
            self.revocations.add(revocation);
        }
        self.heard = entries.len();
        self.revocations.sweep();
    }

    pub(super) fn lowest_subject_version(&self, subject: &str, now: Timestamp) -> Option<u64> {
        self.revocations.list().lowest_subject_version(subject, now)
    }

    pub(super) fn failures(&self) -> u64 {
        self.store.failures()
    }
}
