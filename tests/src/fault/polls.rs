//! The response future is dropped after its k-th poll, for every k: what a client that disconnects
//! does to a server.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use auth_core::store::StoreClock;
use auth_core::testing::ManualClock;
use auth_core::{Clock, SystemClock};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use tower::ServiceExt;

use super::app::{self, App, SUBJECT, Setup};
use super::client::{Grant, Reply};
use super::random::Random;
use super::report::Report;
use super::{Outcome, backend};

/// Polls that no request needs.
const MOST: usize = 400;

/// A future of which so many polls are left.
struct FirstPolls<F> {
    inner: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> Future for FirstPolls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.left = self.left.saturating_sub(1);
        match self.inner.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// How the requests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Login,
    Refresh,
    /// With another request of the same session beside it, which must not suffer.
    RefreshOfTwo,
    Logout,
}

/// Drops requests, `times` for each k, and looks at what is left of the session.
///
/// # Errors
/// If the store cannot be opened.
pub async fn at_every_poll(store: &str, times: u64) -> Outcome<Report> {
    let began = Instant::now();
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let setup = Setup::on(store).with_clock(clock.now());
    let timeout = std::time::Duration::from_millis(setup.timeout_ms);
    let opened = backend::open(store, StoreClock::driven(clock.clone()), timeout).await?;
    let app = App::over(opened, Some(clock), &setup)?;
    let mut polls = Polls {
        router: app.router(),
        app,
        setup,
        report: Report::new(""),
        random: Random::new(3),
    };
    for _ in 0..times {
        for kind in [Kind::Login, Kind::Refresh, Kind::RefreshOfTwo, Kind::Logout] {
            let mut jar = polls.login().await?;
            for k in 1..MOST {
                let dropped = polls.drop_at(kind, k, &mut jar).await?;
                if !dropped {
                    break;
                }
                polls.report.faults += 1;
            }
        }
        polls.report.rounds += 1;
    }
    polls.report.took = began.elapsed();
    Ok(polls.report)
}

struct Jar {
    token: String,
    generation: u32,
}

struct Polls {
    app: App,
    router: Router,
    setup: Setup,
    report: Report,
    random: Random,
}

impl Polls {
    async fn login(&mut self) -> Outcome<Jar> {
        let reply = self.finish(login()).await?;
        Ok(Jar {
            token: reply.refresh.ok_or("a login without a token")?,
            generation: 0,
        })
    }

    async fn finish(&mut self, request: Request<Body>) -> Outcome<Reply> {
        self.report.requests += 1;
        read(self.router.clone().oneshot(request).await?).await
    }

    /// Whether the request was dropped; otherwise it was over before its k-th poll.
    async fn drop_at(&mut self, kind: Kind, k: usize, jar: &mut Jar) -> Outcome<bool> {
        self.app.advance(self.setup.beyond_settle());
        let request = match kind {
            Kind::Login => login(),
            Kind::Refresh | Kind::RefreshOfTwo => with_token("/auth/refresh", &jar.token),
            Kind::Logout => with_token("/auth/logout", &jar.token),
        };
        let before = self.app.counts();
        let first = FirstPolls {
            inner: Box::pin(self.router.clone().oneshot(request)),
            left: k,
        };
        let finished = match kind {
            Kind::RefreshOfTwo => {
                let other = with_token("/auth/refresh", &jar.token);
                let other = self.router.clone().oneshot(other);
                let (finished, other) = tokio::join!(first, other);
                let reply = read(other?).await?;
                self.judge(jar.generation, &reply, "a request beside it", k);
                finished
            }
            _ => first.await,
        };
        if self.random.percent(50) {
            tokio::task::yield_now().await;
        }
        match kind {
            Kind::Login => {
                let reply = self.finish(with_token("/auth/refresh", &jar.token)).await?;
                self.judge_and_take(jar, &reply, kind, k);
            }
            Kind::Refresh | Kind::RefreshOfTwo => {
                let reply = self.finish(with_token("/auth/refresh", &jar.token)).await?;
                self.judge_and_take(jar, &reply, kind, k);
                let wrote = self.app.counts().since(before).advanced;
                if wrote > 1 {
                    self.report
                        .double_win(|| format!("{kind:?}, poll {k}: {wrote} writes"));
                }
            }
            Kind::Logout => {
                let reply = self.finish(with_token("/auth/logout", &jar.token)).await?;
                let status = reply.status;
                if status != 204 {
                    self.report.wrong(|| format!("logout again: {status}"));
                }
                let reply = self.finish(with_token("/auth/refresh", &jar.token)).await?;
                let status = reply.status;
                if status != 400 {
                    self.report.wrong(|| format!("after a logout: {status}"));
                }
                *jar = self.login().await?;
            }
        }
        Ok(finished.is_none())
    }

    fn judge(&mut self, presented: u32, reply: &Reply, what: &str, k: usize) -> Option<Grant> {
        let Some(grant) = reply.grant() else {
            let status = reply.status;
            self.report.lost(|| format!("{what}, poll {k}: {status}"));
            return None;
        };
        let fair = matches!(grant.outcome.as_str(), "rotated" | "replayed");
        if !fair || grant.generation != presented + 1 {
            self.report
                .wrong(|| format!("{what}: {grant:?} for {presented}"));
        }
        Some(grant)
    }

    fn judge_and_take(&mut self, jar: &mut Jar, reply: &Reply, kind: Kind, k: usize) {
        if let Some(grant) = self.judge(jar.generation, reply, &format!("{kind:?} again"), k)
            && let Some(token) = reply.refresh.clone()
        {
            jar.token = token;
            jar.generation = grant.generation;
        }
    }
}

fn login() -> Request<Body> {
    Request::post("/login")
        .header(header::HOST, "app.example")
        .header("sec-fetch-site", "same-origin")
        .header(SUBJECT, "ada")
        .body(Body::empty())
        .unwrap_or_default()
}

fn with_token(path: &str, token: &str) -> Request<Body> {
    let cookies = app::cookies();
    let cookie = format!("{}={token}", cookies.refresh_cookie().name());
    Request::post(path)
        .header(header::HOST, "app.example")
        .header("sec-fetch-site", "same-origin")
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap_or_default()
}

async fn read(response: axum::response::Response) -> Outcome<Reply> {
    let (parts, body) = response.into_parts();
    let mut reply = Reply {
        status: parts.status.as_u16(),
        ..Reply::default()
    };
    for line in parts.headers.get_all(header::SET_COOKIE) {
        reply.set_cookie(line.to_str()?);
    }
    reply.body = to_bytes(body, 1 << 16).await?.to_vec();
    Ok(reply)
}
