//! Three nodes on one real store, thousands of logouts, and everything that can go wrong with
//! processes and networks.
//!
//! 1. A revocation counts once its node has answered 204. From then on each node that is connected
//!    to the store must soon refuse the access token; the time is measured up to the end of the
//!    first refused request.
//! 2. A node to which something was done (killed, cut off, its store restarted) is not measured
//!    until it says that it has caught up. Whatever was acknowledged before the moment as of which
//!    it says so must be refused: a single 200 is a miss.
//! 3. A token that nobody has revoked is never refused with 401, and not with 503 by a node to
//!    which nothing was done.
//! 4. A node that stays without its store for longer than its bound does what its policy says.
//! 5. Requests cost no call to the store: counted in the node, and on the wire.

mod book;
mod chaos;
pub(crate) mod client;
mod load;
mod machine;
pub mod node;
mod proxy;
mod quiet;
mod report;
mod store;

use std::sync::Arc;
use std::time::Duration;

use auth_core::{Clock, SystemClock};

use self::book::Book;
use self::machine::Cluster;
use self::server::{Kind, Server};

pub use example_cluster::server::{self, Failure};

pub use self::report::Report;

/// What to do.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "built by one program")]
pub struct Plan {
    /// The store.
    pub store: Kind,
    /// For how long things go wrong.
    pub faults_for: Duration,
    /// What chance begins with.
    pub seed: u64,
}

/// Runs the plan over a server of its own.
///
/// # Errors
/// If the cluster cannot be started; what the cluster does wrong is in the report.
pub async fn run(plan: Plan) -> Result<Report, Failure> {
    let book = Arc::new(Book::default());
    let store = Server::start(plan.store).await?;
    let cluster = Arc::new(Cluster::start(store, plan).await?);
    let bystanders = load::sign_in_bystanders(&cluster).await?;

    let quiet = quiet::measure(&cluster, &bystanders, &book).await?;
    let running = load::begin(&cluster, &book, &bystanders, plan.seed);
    let faults = chaos::run(&cluster, &book, &bystanders, plan).await?;
    running.stop().await;
    chaos::min_rotation_interval(&cluster, &book).await?;
    book.check_all(&cluster, &bystanders).await;
    Ok(Report::new(plan, &book, quiet, faults))
}

/// The time of all processes of this machine.
fn now_ms() -> i64 {
    SystemClock.now().as_millis()
}
