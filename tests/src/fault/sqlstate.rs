//! Postgres gives up on statements and connections: serialization failures, deadlocks,
//! administrators.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::Outcome;
use super::app::Setup;
use super::client::Client;
use super::load::{Crowd, Load};
use super::node::{Node, Program};
use super::random::Random;
use super::report::Report;

/// Raised while the statement runs, and at commit. The sequence counts what a rollback undoes.
const TROUBLE: &str = "
CREATE TABLE trouble (code text NOT NULL, percent int NOT NULL);
INSERT INTO trouble VALUES ('40001', 0);
CREATE SEQUENCE troubles;
CREATE FUNCTION make_trouble() RETURNS trigger AS $$
DECLARE t trouble;
BEGIN
    SELECT * INTO t FROM trouble;
    IF random() * 100 < t.percent THEN
        PERFORM nextval('troubles');
        RAISE EXCEPTION 'trouble' USING ERRCODE = t.code;
    END IF;
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER trouble_at_once BEFORE INSERT OR UPDATE ON auth_sessions
    FOR EACH ROW EXECUTE FUNCTION make_trouble();
CREATE CONSTRAINT TRIGGER trouble_at_commit AFTER INSERT OR UPDATE ON auth_sessions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION make_trouble();
";

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.3";

/// Makes trouble in a database of its own for this long.
///
/// # Errors
/// If a process does not start.
pub async fn trouble(program: &Program, server: &str, time: Duration) -> Outcome<Report> {
    let mut admin = PgConnection::connect(server).await?;
    for statement in ["DROP DATABASE IF EXISTS trouble", "CREATE DATABASE trouble"] {
        admin.execute(statement).await?;
    }
    let (base, _) = server.rsplit_once('/').ok_or("a URL without a database")?;
    let url = format!("{base}/trouble");
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(Node::start(program, Setup::brisk(&url)).await?);
    }
    let mut admin = PgConnection::connect(&url).await?;
    admin.execute(sqlx::raw_sql(TROUBLE)).await?;
    let load = Load::start(nodes.iter().map(Node::address).collect(), Crowd::usual());
    let (began, mut random) = (Instant::now(), Random::new(17));
    let mut ended = 0;
    let mut report = Report::new("");
    while began.elapsed() < time {
        let code = ["40001", "40P01", "57P01"][usize::try_from(random.below(3))?];
        let percent = [5, 30, 100][usize::try_from(random.below(3))?];
        set(&mut admin, code, percent).await?;
        if percent == 100 {
            must_be_503(&nodes[0], &mut report).await?;
        }
        tokio::time::sleep(Duration::from_millis(random.below(300))).await;
        ended += sqlx::query(TERMINATE).fetch_all(&mut admin).await?.len();
        set(&mut admin, code, 0).await?;
        if load.first_success().await.is_none() {
            return Err("nothing works again after the trouble".into());
        }
    }
    report.add(load.finish("").await);
    let raised: i64 = sqlx::query_scalar("SELECT last_value FROM troubles")
        .fetch_one(&mut admin)
        .await?;
    report.faults = u64::try_from(raised)? + ended as u64;
    report.took = began.elapsed();
    report.note(format!(
        "40001, 40P01, 57P01 raised {raised} times, connections ended {ended}"
    ));
    Ok(report)
}

async fn set(admin: &mut PgConnection, code: &str, percent: u32) -> Outcome<()> {
    let statement = format!("UPDATE trouble SET code = '{code}', percent = {percent}");
    admin.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

/// Retries are bounded: what fails every time is 503, and neither 400 nor 401.
async fn must_be_503(node: &Node, report: &mut Report) -> Outcome<()> {
    let mut client = Client::new(node.address(), Duration::from_secs(10));
    let reply = client.login("eve").await?;
    report.requests += 1;
    report.transient += 1;
    if reply.status != 503 || !reply.retry_after {
        report.wrong(|| format!("a login that fails every time: {reply:?}"));
    }
    Ok(())
}
