//! The conformance kit: checks a store against the requirements of
//! [`RefreshStore`](crate::store::RefreshStore).
//!
//! 1. It uses only the public trait, through two handles that stand for two nodes.
//! 2. Every case uses its own sessions and subjects, so the database may be shared and hold other
//!    rows.
//! 3. The fixture's clock sets the store's time, if the store supports that. Otherwise the cases that
//!    need time to pass are skipped, and the report lists them.
//! 4. Run it on a multi-threaded runtime: on a single thread, most races do not occur.

mod drops;
mod ends;
mod epochs;
mod limits;
mod model;
mod protocol;
mod races;
mod rows;
mod texts;

pub use self::model::{Act, End, prove_history};

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand;

use crate::base::id::{Generation, SessionId};
use crate::observe::words::RevokeReason;
use crate::session::store::ending::{Listing, RevocationMark, RevokeSession, RevokeSubject};
use crate::session::store::error::StoreError;
use crate::session::store::record::{SessionDetails, SessionRecord};
use crate::session::store::{
    InsertOutcome, LoadedSession, NewSession, RefreshStore, RotateSession,
};
use crate::testing::ManualClock;

/// A store under test.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use auth_core::store::{RefreshStore, StoreClock, StoreError};
/// use auth_core::testing::{prove_store, ManualClock, MemoryStore, StoreFixture};
/// use auth_core::Timestamp;
///
/// struct Memory {
///     clock: Arc<ManualClock>,
///     store: Arc<MemoryStore>,
/// }
///
/// #[async_trait]
/// impl StoreFixture for Memory {
///     async fn open(&self) -> Result<Arc<dyn RefreshStore>, StoreError> {
///         Ok(self.store.clone())
///     }
///
///     fn clock(&self) -> Option<Arc<ManualClock>> {
///         Some(self.clock.clone())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
/// let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
/// let store = MemoryStore::new().with_clock(StoreClock::driven(clock.clone()));
/// let report = prove_store(&Memory { clock, store: Arc::new(store) }).await?;
/// assert!(report.skipped().is_empty());
/// # Ok(())
/// # })
/// # }
/// ```
#[async_trait]
pub trait StoreFixture: Send + Sync {
    /// Opens another handle on the same database, like that of another node. A store within one
    /// process may return the same handle again.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn open(&self) -> Result<Arc<dyn RefreshStore>, StoreError>;

    /// The clock of every handle's [`StoreClock`](crate::store::StoreClock); `None` if the store
    /// uses its own clock.
    fn clock(&self) -> Option<Arc<ManualClock>>;

    /// Makes a backup, for histories in which the store loses acknowledged writes. Returns whether
    /// the store has backups. Default: `false`.
    async fn back_up(&self) -> bool {
        false
    }

    /// Restores the last backup; all later writes are lost.
    async fn restore(&self) -> bool {
        false
    }

    /// Number of rounds of each race. Default: 30; use fewer for a store behind a network.
    fn rounds(&self) -> u32 {
        30
    }
}

/// The result of a successful run.
#[derive(Clone, Debug, Default)]
pub struct KitReport {
    passed: Vec<&'static str>,
    skipped: Vec<&'static str>,
}

impl KitReport {
    /// The cases that passed.
    #[must_use]
    pub fn passed(&self) -> &[&'static str] {
        &self.passed
    }

    /// The cases that were skipped because the fixture has no clock.
    #[must_use]
    pub fn skipped(&self) -> &[&'static str] {
        &self.skipped
    }
}

/// A failed requirement.
#[derive(Debug, thiserror::Error)]
#[error("{case}: {broken}")]
pub struct KitFailure {
    case: &'static str,
    broken: Broken,
}

impl KitFailure {
    /// The case that failed.
    #[must_use]
    pub fn case(&self) -> &'static str {
        self.case
    }
}

/// Runs every case of the kit against a store.
///
/// # Errors
/// [`KitFailure`]: the first requirement that the store fails.
pub async fn prove_store(fixture: &dyn StoreFixture) -> Result<KitReport, KitFailure> {
    let mut report = KitReport::default();
    for case in CASES {
        if case.needs_clock && fixture.clock().is_none() {
            report.skipped.push(case.name);
            continue;
        }
        let outcome = async {
            let trial = Trial::new(fixture).await?;
            (case.run)(&trial).await
        };
        outcome.await.map_err(|broken| KitFailure {
            case: case.name,
            broken,
        })?;
        report.passed.push(case.name);
    }
    Ok(report)
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send + 'a>>;

struct Case {
    name: &'static str,
    needs_clock: bool,
    run: for<'a> fn(&'a Trial<'a>) -> Running<'a>,
}

macro_rules! cases {
    ($($group:ident :: $case:ident $(($clock:ident))?),* $(,)?) => {
        &[$(Case {
            name: concat!(stringify!($group), "::", stringify!($case)),
            needs_clock: cases!(@ $($clock)?),
            run: |trial| Box::pin($group::$case(trial)),
        }),*]
    };
    (@ clock) => { true };
    (@) => { false };
}

const CASES: &[Case] = cases![
    rows::a_new_row_is_what_was_inserted,
    rows::an_existing_id_is_not_inserted_again,
    rows::what_is_not_there_is_not_loaded_written_or_revoked,
    rows::a_step_needs_the_generation_the_predecessor_and_the_epoch,
    rows::a_step_is_stamped_by_the_store_at_the_write(clock),
    rows::a_step_never_passes_the_absolute_end(clock),
    rows::numbers_and_moments_at_their_ends_survive,
    rows::a_revocation_happens_once_and_stays,
    rows::a_login_ends_the_session_it_replaces,
    epochs::raising_an_epoch_kills_every_session_of_the_subject,
    epochs::an_epoch_is_raised_without_any_session,
    epochs::one_session_goes_along_to_the_new_epoch,
    epochs::a_dead_session_takes_nobody_along,
    epochs::an_ended_session_takes_nobody_along(clock),
    epochs::a_login_of_an_earlier_epoch_is_dead,
    epochs::a_login_races_the_end_of_all_and_never_survives_it,
    epochs::raising_epochs_concurrently_loses_none,
    epochs::an_epoch_is_raised_to_what_the_feed_has_proved,
    epochs::raising_an_epoch_as_far_races_the_end_of_all,
    ends::the_mark_of_the_first_revocation_stays,
    ends::many_revocations_agree_on_one_mark,
    ends::a_login_marks_what_it_ends,
    ends::a_session_that_ended_with_all_bears_nobodys_mark,
    ends::the_longest_access_lifetime_only_rises,
    ends::what_has_ended_is_listed_for_the_longest_access_lifetime(clock),
    limits::a_list_has_the_live_sessions_last_used_first(clock),
    limits::the_limit_ends_the_least_recently_used(clock),
    limits::the_limit_counts_only_live_sessions(clock),
    limits::the_limit_holds_under_concurrent_logins,
    limits::purging_removes_what_ended_long_enough_ago(clock),
    limits::purging_respects_its_batch(clock),
    limits::purging_keeps_epochs(clock),
    races::exactly_one_of_many_steps_wins,
    races::no_step_survives_a_revocation,
    races::no_step_survives_the_end_of_all,
    races::one_of_two_logins_replaces_a_session,
    texts::subjects_that_look_alike_are_different,
    texts::ids_that_look_alike_are_different,
    texts::details_survive_whatever_is_in_them,
    drops::a_call_dropped_at_any_poll_happened_whole_or_not_at_all,
    protocol::every_row_of_the_table(clock),
    protocol::requests_of_two_nodes_get_one_successor,
    protocol::a_lost_answer_is_had_again(clock),
    protocol::the_store_may_be_down_at_any_call_and_nobody_is_signed_out(clock),
    protocol::an_end_without_an_answer_is_told_once,
    protocol::an_entry_ahead_of_its_epoch_locks_nobody_out,
    model::random_histories_keep_the_invariants(clock),
];

/// The cause of a failed case.
enum Broken {
    Promise(String),
    Store(StoreError),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promise(text) => f.write_str(text),
            Self::Store(error) => {
                write!(f, "{error}")?;
                let mut source = std::error::Error::source(error);
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn ensure(holds: bool, promise: &str) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err(Broken::Promise(promise.into()))
    }
}

fn ensure_eq<T: PartialEq + fmt::Debug>(
    found: &T,
    expected: &T,
    promise: &str,
) -> Result<(), Broken> {
    if found == expected {
        return Ok(());
    }
    Err(Broken::Promise(format!(
        "{promise}: {found:?} instead of {expected:?}"
    )))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const IDLE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const ABSOLUTE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const LISTING: Listing = Listing {
    lifetime: Duration::from_secs(600),
    margin: Duration::from_secs(60),
};

/// The sessions, subjects and handles of one case.
struct Trial<'f> {
    fixture: &'f dyn StoreFixture,
    /// Handle of one node.
    store: Arc<dyn RefreshStore>,
    /// Handle of another node.
    other: Arc<dyn RefreshStore>,
    tag: u64,
    made: AtomicU64,
}

impl<'f> Trial<'f> {
    async fn new(fixture: &'f dyn StoreFixture) -> Result<Self, Broken> {
        let mut tag = [0; 8];
        ensure(
            rand::fill(&mut tag).is_ok(),
            "the operating system returns random bytes",
        )?;
        Ok(Self {
            fixture,
            store: fixture.open().await?,
            other: fixture.open().await?,
            tag: u64::from_le_bytes(tag),
            made: AtomicU64::new(0),
        })
    }

    /// A subject that only this case uses.
    fn subject(&self, name: &str) -> String {
        format!("{:016x}-{name}", self.tag)
    }

    /// An id that no other case uses.
    fn id(&self) -> SessionId {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let [tag, number] = [self.tag.to_be_bytes(), number.to_be_bytes()];
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(tag.iter().chain(&number)) {
            *to = *from;
        }
        SessionId::from_bytes(bytes)
    }

    fn advance_clock(&self, by: Duration) {
        if let Some(clock) = self.fixture.clock() {
            clock.advance(by);
        }
    }

    /// A mark that no other call uses.
    fn mark(&self) -> RevocationMark {
        RevocationMark::from_bytes(*self.id().as_bytes())
    }

    /// A call that ends a session, with a new mark.
    fn revoking(&self, id: SessionId, reason: RevokeReason) -> RevokeSession {
        RevokeSession {
            id,
            reason,
            mark: self.mark(),
            listing: LISTING,
        }
    }

    async fn insert(&self, subject: &str) -> Result<SessionId, Broken> {
        let id = self.id();
        self.insert_as(NewSession {
            id,
            ..session(subject)
        })
        .await?;
        Ok(id)
    }

    async fn insert_as(&self, session: NewSession<'_>) -> Result<InsertOutcome, Broken> {
        Ok(self.store.insert(&session).await?)
    }

    /// The row, as loaded by the other node.
    async fn row(&self, id: SessionId) -> Result<LoadedSession, Broken> {
        match self.other.load(&id).await? {
            Some(loaded) => Ok(loaded),
            None => Err(Broken::Promise("the row exists".into())),
        }
    }

    async fn record(&self, id: SessionId) -> Result<SessionRecord, Broken> {
        Ok(self.row(id).await?.record)
    }

    async fn is_live(&self, id: SessionId) -> Result<bool, Broken> {
        let loaded = self.row(id).await?;
        Ok(loaded
            .record
            .is_live(loaded.current_subject_version, loaded.now))
    }

    async fn list(&self, subject: &str) -> Result<Vec<SessionId>, Broken> {
        let rows = self.other.list(subject, 1000).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    /// Ends a session, and returns whether this call did.
    async fn revoke(&self, id: SessionId, reason: RevokeReason) -> Result<bool, Broken> {
        let revoking = self.revoking(id, reason);
        let revoked = self.store.revoke(&revoking).await?;
        Ok(revoked.is_some_and(|revoked| revoked.mark == Some(revoking.mark)))
    }

    async fn end_all(&self, subject: &str, keep: Option<SessionId>) -> Result<Option<u64>, Broken> {
        let raised = self.store.end_all(&end_all(subject, keep)).await?;
        Ok(raised.map(|raised| raised.subject_version))
    }
}

/// A session with common values. Only the id is missing.
fn session(subject: &str) -> NewSession<'_> {
    NewSession {
        id: SessionId::from_bytes([0; 16]),
        subject,
        subject_version: 0,
        idle: IDLE,
        absolute: ABSOLUTE,
        details: &PLAIN,
        limit: None,
        replaces: None,
        mark: RevocationMark::from_bytes([0; 16]),
        listing: LISTING,
    }
}

static PLAIN: std::sync::LazyLock<SessionDetails> =
    std::sync::LazyLock::new(SessionDetails::default);

fn end_all(subject: &str, keep: Option<SessionId>) -> RevokeSubject<'_> {
    RevokeSubject {
        subject,
        keep,
        reason: RevokeReason::All,
        listing: LISTING,
    }
}

/// The usual rotation of a row: its current token was used.
fn step(from: &SessionRecord) -> RotateSession<'_> {
    RotateSession {
        id: from.id,
        subject: &from.subject,
        from_generation: from.generation,
        from_predecessor: from.predecessor,
        subject_version: from.subject_version,
        generation: Generation::new(from.generation.get().saturating_add(1)),
        predecessor: Some(from.generation),
        recovered: 0,
        idle: IDLE,
        details: &from.details,
    }
}

/// Runs tasks concurrently, on all threads of the runtime.
async fn side_by_side<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Result<Vec<T>, Broken> {
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(running.len());
    for task in running {
        results.push(
            task.await
                .map_err(|_| Broken::Promise("the store does not panic".into()))?,
        );
    }
    Ok(results)
}
