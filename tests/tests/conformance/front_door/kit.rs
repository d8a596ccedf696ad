//! Requests for both apps, and the comparison of their responses.

use std::time::Duration;

use actix_web::{App, test};
use auth_core::Auth;
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::Request;
use serde_json::Value;
use tower::ServiceExt;

use super::apps::{User, auth, on_actix, on_axum};

/// The credential of a request, from earlier responses of the same app.
#[derive(Clone, Copy, Debug)]
pub(super) enum Credential {
    None,
    Cookies,
    Bearer,
}

/// A request for both apps.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    method: &'static str,
    path: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    body: &'static str,
    credential: Credential,
}

impl Asked {
    pub(super) fn new(method: &'static str, path: &'static str) -> Self {
        Self {
            method,
            path,
            fields: vec![("host", "app.example")],
            body: "",
            credential: Credential::None,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }

    pub(super) fn body(mut self, media: &'static str, body: &'static str) -> Self {
        self.body = body;
        self.with("content-type", media)
    }

    pub(super) fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Marks it as a navigation in a tab of this site.
    pub(super) fn navigating(self) -> Self {
        self.with("sec-fetch-site", "same-origin")
            .with("sec-fetch-mode", "navigate")
            .with("sec-fetch-dest", "document")
    }

    /// Marks it as a request of a script of this site.
    pub(super) fn scripted(self) -> Self {
        self.with("sec-fetch-site", "same-origin")
            .with("sec-fetch-mode", "cors")
            .with("origin", "https://app.example")
    }
}

/// A response of an app.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn field<'r>(&'r self, name: &'r str) -> Option<&'r str> {
        self.fields(name).next()
    }

    pub(super) fn fields<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        let fields = self.headers.iter().filter(move |(of, _)| of == name);
        fields.map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The names of the cookies that it sets, each with `-` if it is cleared.
    pub(super) fn cookies(&self) -> Vec<String> {
        let lines = self.fields("set-cookie").map(|line| {
            let (name, rest) = line.split_once('=').unwrap();
            format!("{}{name}", if rest.starts_with(';') { "-" } else { "" })
        });
        lines.collect()
    }

    #[track_caller]
    pub(super) fn redirects(&self, location: &str) {
        assert_eq!((self.status, self.field("location")), (303, Some(location)));
    }

    /// The response without what is random. A token, an id and a key become their lengths;
    /// `expires_in`, the time for the next refresh, and the short id of a key become a letter.
    pub(super) fn comparable(&self) -> String {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != "content-length");
        headers.sort();
        let mut comparable = format!("{} {headers:?} ", self.status);
        let in_token = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let text = format!("{} {}", std::mem::take(&mut comparable), self.body);
        let mut previous = "";
        for part in text.split_inclusive(|letter| !in_token(letter)) {
            let word = part.trim_end_matches(|letter| !in_token(letter));
            let end = &part[word.len()..];
            comparable += &match word.len() {
                length @ 22.. => format!("<{length}>{end}"),
                1.. if matches!(previous, "expires_in" | "kid") => format!("n{end}"),
                _ => part.to_owned(),
            };
            if !word.is_empty() {
                previous = word;
            }
        }
        comparable
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framework {
    Axum,
    Actix,
}

/// An app with a client, which keeps its cookies and its access token.
struct Site {
    framework: Framework,
    auth: Auth<User>,
    cookies: String,
    access: String,
    refresh: String,
}

impl Site {
    pub(super) async fn new(framework: Framework) -> Self {
        Self {
            framework,
            auth: auth().await,
            cookies: String::new(),
            access: String::new(),
            refresh: String::new(),
        }
    }

    pub(super) async fn ask(&mut self, asked: &Asked) -> Reply {
        let mut request = Request::builder().method(asked.method).uri(asked.path);
        for (name, value) in &asked.fields {
            request = request.header(*name, *value);
        }
        request = match asked.credential {
            Credential::None => request,
            Credential::Cookies => request.header("cookie", &self.cookies),
            Credential::Bearer => {
                request.header("authorization", format!("Bearer {}", self.access))
            }
        };
        let body = asked.body.replace("REFRESH", &self.refresh);
        let request = request.body(Body::from(body)).unwrap();
        let reply = match self.framework {
            Framework::Axum => ask_axum(&self.auth, request).await,
            Framework::Actix => ask_actix(&self.auth, request).await,
        };
        self.keep(&reply);
        reply
    }

    fn keep(&mut self, reply: &Reply) {
        let pairs = reply.fields("set-cookie");
        let pairs: Vec<_> = pairs.filter_map(|line| line.split(';').next()).collect();
        if reply.cookies().iter().any(|name| !name.starts_with('-')) {
            self.cookies = pairs.join("; ");
        }
        let token = |name: &str| {
            let body: Value = serde_json::from_str(&reply.body).ok()?;
            Some(body.get(name)?.as_str()?.to_owned())
        };
        self.access = token("access_token").unwrap_or_else(|| self.access.clone());
        self.refresh = token("refresh_token").unwrap_or_else(|| self.refresh.clone());
    }
}

async fn ask_axum(auth: &Auth<User>, request: Request<Body>) -> Reply {
    let response = on_axum::app(auth).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let headers = head.headers.iter();
    Reply {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: text_of(&body.collect().await.unwrap().to_bytes()),
    }
}

async fn ask_actix(auth: &Auth<User>, request: Request<Body>) -> Reply {
    let app = test::init_service(App::new().configure(on_actix::app(auth))).await;
    let (head, body) = request.into_parts();
    let method = head.method.as_str().parse().unwrap();
    let mut asked = test::TestRequest::with_uri(&head.uri.to_string()).method(method);
    for (name, value) in &head.headers {
        asked = asked.append_header((name.as_str(), value.as_bytes()));
    }
    let asked = asked.set_payload(body.collect().await.unwrap().to_bytes());
    let response = test::call_service(&app, asked.to_request()).await;
    let headers = response.headers().iter();
    Reply {
        status: response.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: text_of(&test::read_body(response).await),
    }
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

/// The same app on both frameworks.
pub(super) struct Apps([Site; 2]);

impl Apps {
    pub(super) async fn new() -> Self {
        Self([
            Site::new(Framework::Axum).await,
            Site::new(Framework::Actix).await,
        ])
    }

    /// Asks both apps. The responses must be equal.
    pub(super) async fn ask(&mut self, asked: Asked) -> Reply {
        let [axum, actix] = &mut self.0;
        let reply = axum.ask(&asked).await;
        let other = actix.ask(&asked).await;
        assert_eq!(reply.comparable(), other.comparable(), "{asked:?}");
        reply
    }

    pub(super) async fn get(
        &mut self,
        path: &'static str,
        credential: Credential,
    ) -> (u16, String) {
        let reply = self
            .ask(Asked::new("GET", path).credential(credential))
            .await;
        (reply.status, reply.body)
    }

    pub(super) fn advance(&self, by: Duration) {
        for site in &self.0 {
            site.auth.advance(by);
        }
    }
}
