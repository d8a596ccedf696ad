//! Guards of one authenticator within each other, and session routes beside them.

use auth_core::adapter::{Step, Verdict};
use auth_core::{AuthContext, Cause, Guard, SessionRoute};
use serde_json::{Map, Value};

use crate::browser::{App, Browser, ELEVEN_MINUTES, Request, issuer};

type Pages = Guard<Map<String, Value>>;

/// The context that an outer guard leaves in the extensions of a request that passes.
async fn passed(guard: &Pages, request: &Request) -> AuthContext {
    match guard.check(request).verdict().await {
        Verdict::Pass(pass) => pass.into_parts().0,
        Verdict::Refuse(refusal) => panic!("{refusal:?}"),
    }
}

/// A browser whose access cookie has expired, while its session has just moved on in another tab.
async fn renewable(app: &App) -> Browser {
    let mut browser = Browser::signed_in(app).await;
    let expired = browser.cookie("at").unwrap().to_owned();
    app.advance(ELEVEN_MINUTES);
    assert_eq!(app.refresh(&mut browser).await.status(), 200);
    browser.set("at", &expired);
    browser
}

fn decided(step: Step) -> Verdict {
    match step {
        Step::Done(verdict) => verdict,
        Step::Wait(_) => panic!("the outer guard has the answer"),
    }
}

fn cause(verdict: Verdict) -> Cause {
    match verdict {
        Verdict::Refuse(refusal) => refusal.error().cause(),
        Verdict::Pass(_) => panic!("it passed"),
    }
}

#[tokio::test]
async fn a_guard_takes_over_what_the_outer_one_has_proved() {
    let app = App::new();
    let api = app.guard.authenticator().guard();
    let request = renewable(&app).await.own("GET", "/");
    // By itself it refuses the expired cookie, and asks no store.
    assert_eq!(cause(decided(api.check(&request))), Cause::Expired);
    let outer = passed(&app.guard, &request).await;
    let Verdict::Pass(pass) = decided(api.check_within(Some(&outer), &request)) else {
        panic!("an expired cookie that was renewed is no refusal");
    };
    let (context, edits) = pass.into_parts();
    let who = context.identity::<Map<String, Value>>().unwrap();
    assert_eq!(who.subject(), "ada");
    // The new cookie is the outer guard's to set.
    let lines = edits.finish([], false);
    assert!(lines.iter().all(|line| !line.is_appended()), "{lines:?}");
    // What it requires itself counts.
    let admins = api.require_role("admin");
    let refused = decided(admins.check_within(Some(&outer), &request));
    assert_eq!(cause(refused), Cause::Role);
}

#[tokio::test]
async fn an_anonymous_request_is_judged_again_by_the_inner_guard() {
    let app = App::new();
    let auth = app.guard.authenticator();
    let request = renewable(&app).await.own("GET", "/");
    let outer = passed(&auth.guard().with_anonymous(), &request).await;
    let refused = auth.guard().check_within(Some(&outer), &request);
    assert_eq!(cause(decided(refused)), Cause::Expired);
    // A silent refresh is the inner guard's own choice.
    let step = app.guard.check_within(Some(&outer), &request);
    let Verdict::Pass(pass) = step.verdict().await else {
        panic!("the session is renewable");
    };
    let who = pass.into_parts().0.identity::<Map<String, Value>>();
    assert_eq!(who.unwrap().subject(), "ada");
}

#[tokio::test]
async fn the_proof_of_another_authenticator_counts_for_nothing() {
    let app = App::new();
    let request = renewable(&app).await.own("GET", "/");
    let outer = passed(&app.guard, &request).await;
    let other = issuer(&app.clock).authenticator::<Map<String, Value>>();
    let other = other.with_clock(app.clock.clone()).build().unwrap();
    let refused = other.guard().check_within(Some(&outer), &request);
    assert_eq!(cause(decided(refused)), Cause::Absent);
}

/// A layer between the guards may turn a GET into a POST.
#[tokio::test]
async fn an_inner_guard_checks_the_csrf_rule_again() {
    let app = App::new();
    let browser = Browser::signed_in(&app).await;
    let mut request = browser.own("GET", "/");
    request.fields.retain(|(name, _)| name != "sec-fetch-site");
    let outer = passed(&app.guard, &request).await;
    request.method = "POST";
    let refused = app.guard.check_within(Some(&outer), &request);
    assert_eq!(cause(decided(refused)), Cause::Origin);
}

/// Scripts call them, which would follow a redirect into a page.
#[tokio::test]
async fn session_routes_never_refresh_silently() {
    let app = App::new();
    let browser = renewable(&app).await;
    let routes = app.routes.with_guard(app.guard.clone()).unwrap();
    let request = browser.own("GET", "/auth/sessions");
    let answer = routes.respond(SessionRoute::Sessions, &request, b"").await;
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().iter().all(|line| !line.is_appended()));
}
