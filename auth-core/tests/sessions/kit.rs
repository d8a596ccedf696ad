//! The conformance kit: the memory store passes, and stores that break a requirement fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::session::SessionId;
use auth_core::store::{
    InsertOutcome, Listing, LoadedSession, NewSession, RaisedSubjectVersion, RefreshStore,
    RevocationMark, RevokeSession, RevokeSubject, Revoked, RotateSession, RotatedAt, SessionRecord,
    StoreClock, StoreError,
};
use auth_core::testing::{
    FaultStore, KitFailure, ManualClock, MemoryBackup, MemoryStore, StoreFixture, prove_store,
};

pub(crate) struct MemoryFixture {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    backup: Mutex<Option<MemoryBackup>>,
    yields: bool,
}

impl MemoryFixture {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
        Self {
            clock,
            store: Arc::new(store),
            backup: Mutex::default(),
            yields: true,
        }
    }

    /// Without yields, since a history has no interleavings within an act.
    pub(crate) fn quick() -> Self {
        Self {
            yields: false,
            ..Self::new()
        }
    }
}

#[async_trait]
impl StoreFixture for MemoryFixture {
    async fn open(&self) -> Result<Arc<dyn RefreshStore>, StoreError> {
        if !self.yields {
            return Ok(self.store.clone());
        }
        Ok(Arc::new(FaultStore::new(self.store.clone()).with_yields()))
    }

    fn clock(&self) -> Option<Arc<ManualClock>> {
        Some(self.clock.clone())
    }

    async fn back_up(&self) -> bool {
        *self.backup.lock().unwrap() = Some(self.store.back_up());
        true
    }

    async fn restore(&self) -> bool {
        let backup = self.backup.lock().unwrap();
        backup.as_ref().map(|b| self.store.restore(b)).is_some()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e01_the_memory_store_passes_the_kit() {
    let report = prove_store(&MemoryFixture::new()).await.unwrap();
    assert!(report.skipped().is_empty());
    assert!(report.passed().len() > 30);
}

/// The fault of a broken store.
#[derive(Clone, Copy, Debug)]
enum Flaw {
    StepForgetsPredecessor,
    StepForgetsEpoch,
    StepIgnoresRevocation,
    StepUpserts,
    RevokeOverwrites,
    RevokeForgetsTheMark,
    ListingIgnoresOthers,
    EndAllListsTooShort,
    LifetimeFalls,
    EpochFalls,
    EpochIsNotRaised,
    EndAllKeepsTheDead,
    ListShowsAll,
    LimitIsIgnored,
    LoadThenWrite,
    SubjectsFoldCase,
    PurgeTakesTheLiving,
    TimeOfTheLoad,
}

#[derive(Debug)]
struct Flawed {
    inner: MemoryStore,
    flaw: Flaw,
    clock: Arc<ManualClock>,
    /// The time of the last load of the row.
    seen: Mutex<Option<Timestamp>>,
}

impl Flawed {
    fn subject(&self, subject: &str) -> String {
        match self.flaw {
            Flaw::SubjectsFoldCase => subject.to_lowercase(),
            _ => subject.into(),
        }
    }
}

#[async_trait]
impl RefreshStore for Flawed {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        self.inner.subject_version(&self.subject(subject)).await
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        let subject = self.subject(session.subject);
        let mut session = NewSession {
            subject: &subject,
            ..*session
        };
        if matches!(self.flaw, Flaw::LimitIsIgnored) {
            session.limit = None;
        }
        self.inner.insert(&session).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        let loaded = self.inner.load(id).await?;
        *self.seen.lock().unwrap() = loaded.as_ref().map(|loaded| loaded.now);
        Ok(loaded)
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        let current = self.inner.load(&step.id).await?;
        let mut step = *step;
        match (self.flaw, &current) {
            (Flaw::StepForgetsPredecessor, Some(current)) => {
                step.from_predecessor = current.record.predecessor;
            }
            (Flaw::StepForgetsEpoch, Some(current)) => {
                step.subject_version = current.record.subject_version
            }
            (Flaw::StepIgnoresRevocation, Some(current)) if current.record.revoked.is_some() => {
                return Ok(Some(RotatedAt {
                    now: current.now,
                    idle_expires_at: current.now,
                }));
            }
            (Flaw::StepUpserts, None) => {
                let session = NewSession {
                    id: step.id,
                    subject: step.subject,
                    subject_version: step.subject_version,
                    idle: step.idle,
                    absolute: step.idle,
                    details: step.details,
                    limit: None,
                    replaces: None,
                    mark: RevocationMark::from_bytes([0; 16]),
                    listing: Listing {
                        lifetime: Duration::ZERO,
                        margin: Duration::ZERO,
                    },
                };
                self.inner.insert(&session).await?;
            }
            (Flaw::LoadThenWrite, Some(current)) => {
                tokio::task::yield_now().await;
                let matched = current.record.generation == step.from_generation;
                let now = self.inner.load(&step.id).await?;
                if let (true, Some(now)) = (matched, now) {
                    step.from_generation = now.record.generation;
                    step.from_predecessor = now.record.predecessor;
                }
            }
            (Flaw::TimeOfTheLoad, _) => {
                let now = auth_core::Clock::now(&*self.clock);
                let seen = *self.seen.lock().unwrap();
                self.clock.set(seen.unwrap_or(now));
                let advanced = self.inner.advance(&step).await;
                self.clock.set(now);
                return advanced;
            }
            _ => {}
        }
        self.inner.advance(&step).await
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        let revoked = self.inner.revoke(revoke).await?;
        Ok(revoked.map(|revoked| match self.flaw {
            Flaw::RevokeOverwrites => Revoked {
                mark: Some(revoke.mark),
                ..revoked
            },
            Flaw::RevokeForgetsTheMark => Revoked {
                mark: None,
                ..revoked
            },
            Flaw::ListingIgnoresOthers => Revoked {
                listed_until: auth_core::Clock::now(&*self.clock)
                    .saturating_add(revoke.listing.beside(Duration::ZERO)),
                ..revoked
            },
            _ => revoked,
        }))
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        let subject = self.subject(end.subject);
        let mut end = RevokeSubject {
            subject: &subject,
            ..*end
        };
        if matches!(self.flaw, Flaw::EndAllKeepsTheDead)
            && let Some(keep) = end.keep
            && let Some(loaded) = self.inner.load(&keep).await?
            && loaded.record.revoked.is_some()
        {
            end.keep = None;
        }
        if matches!(self.flaw, Flaw::EndAllListsTooShort) {
            end.listing.margin = Duration::ZERO;
        }
        self.inner.end_all(&end).await
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        let subject = self.subject(subject);
        match self.flaw {
            Flaw::EpochIsNotRaised => Ok(at_least),
            Flaw::EpochFalls => {
                let subject_version = self.inner.raise_subject_version(&subject, at_least).await?;
                Ok(subject_version.min(at_least))
            }
            _ => self.inner.raise_subject_version(&subject, at_least).await,
        }
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        let longest = self.inner.raise_access_lifetime(issuer, lifetime).await?;
        Ok(match self.flaw {
            Flaw::LifetimeFalls => lifetime,
            _ => longest,
        })
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        let limit = match self.flaw {
            Flaw::ListShowsAll => 1000,
            _ => limit,
        };
        self.inner.list(&self.subject(subject), limit).await
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let kept = match self.flaw {
            Flaw::PurgeTakesTheLiving => Duration::ZERO,
            _ => kept,
        };
        self.inner.purge(kept, batch).await
    }
}

struct FlawedFixture(Arc<Flawed>);

#[async_trait]
impl StoreFixture for FlawedFixture {
    async fn open(&self) -> Result<Arc<dyn RefreshStore>, StoreError> {
        Ok(self.0.clone())
    }

    fn clock(&self) -> Option<Arc<ManualClock>> {
        Some(self.0.clock.clone())
    }
}

async fn failure(flaw: Flaw) -> KitFailure {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let flawed = Flawed {
        inner: MemoryStore::new().with_clock(StoreClock::driven(clock.clone())),
        flaw,
        clock,
        seen: Mutex::default(),
    };
    prove_store(&FlawedFixture(Arc::new(flawed)))
        .await
        .expect_err(&format!("{flaw:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e01_the_kit_finds_every_flaw() {
    for flaw in [
        Flaw::StepForgetsPredecessor,
        Flaw::StepForgetsEpoch,
        Flaw::StepIgnoresRevocation,
        Flaw::StepUpserts,
        Flaw::RevokeOverwrites,
        Flaw::RevokeForgetsTheMark,
        Flaw::ListingIgnoresOthers,
        Flaw::EndAllListsTooShort,
        Flaw::LifetimeFalls,
        Flaw::EpochFalls,
        Flaw::EpochIsNotRaised,
        Flaw::EndAllKeepsTheDead,
        Flaw::ListShowsAll,
        Flaw::LimitIsIgnored,
        Flaw::LoadThenWrite,
        Flaw::SubjectsFoldCase,
        Flaw::PurgeTakesTheLiving,
        Flaw::TimeOfTheLoad,
    ] {
        let failure = failure(flaw).await;
        println!("{flaw:?}: {failure}");
    }
}
