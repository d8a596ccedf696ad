//! A provider for the example: OpenID Connect Core, the authorization code flow for one registered
//! client, with real HTTP and real signatures. Its users have no passwords: any browser can choose
//! any of them.
//!
//! 1. Only the registered redirect URI is ever redirected to. It receives the other errors of a
//!    request (RFC 6749 §4.1.2.1).
//! 2. PKCE with S256 is required, and so is the client's secret.
//! 3. A code is random, valid for one minute and one attempt, for its client and redirect URI.
//! 4. The time of the login is sent only if it was requested with `max_age`. It is optional
//!    otherwise (OpenID Connect Core §2), and many providers omit it.
//! 5. Tests can make it misbehave like an attacker in its place.

mod codes;
mod signer;

use std::sync::{Arc, Mutex, PoisonError};

use auth_core::{Clock, ConfigError, SystemClock};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64_simd::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use self::codes::{Codes, Grant};
use self::signer::Signer;
use crate::{Failure, page};

const USERS: [(&str, &str); 2] = [("248289761001", "Ada Example"), ("90342", "Bob Example")];
const ID_TOKEN_LIVES_FOR: i64 = 300;

/// The registration of the app.
#[derive(Clone)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: String,
    /// Redirect URI.
    pub redirect_uri: String,
}

impl Client {
    /// Registers an app.
    pub fn new(id: &str, redirect_uri: String) -> Result<Self, ConfigError> {
        Ok(Self {
            id: id.to_owned(),
            secret: signer::random_word()?,
            redirect_uri,
        })
    }
}

/// A fault of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// No fault.
    None,
    /// The ID token is for another app.
    OtherAudience,
    /// The ID token is of another login.
    OtherNonce,
    /// The ID token names another issuer.
    OtherIssuer,
    /// The ID token has expired.
    Expired,
    /// The claims of the ID token were changed after signing.
    Altered,
    /// The response names another provider.
    OtherAnswer,
    /// The response names no provider, although the metadata promise it.
    NobodysAnswer,
    /// The login was an hour ago, regardless of the request.
    OldLogin,
    /// The time of the login is missing, regardless of the request.
    Undated,
}

/// The provider. Clones share it.
#[derive(Clone)]
pub struct Provider(Arc<ProviderState>);

struct ProviderState {
    issuer: String,
    client: Client,
    signer: Mutex<Signer>,
    codes: Codes,
    mischief: Mutex<Mischief>,
}

impl Provider {
    /// Creates a provider with this issuer URL, at which it must be served.
    pub fn new(issuer: String, client: Client) -> Result<Self, Failure> {
        Ok(Self(Arc::new(ProviderState {
            issuer,
            client,
            signer: Mutex::new(Signer::new()?),
            codes: Codes::default(),
            mischief: Mutex::new(Mischief::None),
        })))
    }

    /// The issuer URL.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Sets the fault of all later responses.
    pub fn misbehave(&self, mischief: Mischief) {
        *self
            .0
            .mischief
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mischief;
    }

    /// Signs with a new key from now on, and publishes only that one.
    pub fn replace_key(&self) -> Result<(), Failure> {
        *self.0.signer() = Signer::new()?;
        Ok(())
    }
}

/// The routes of the provider.
pub fn router(provider: &Provider) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(jwks))
        .route("/authorize", get(ask).post(decide))
        .route("/token", post(redeem))
        .with_state(provider.clone())
}

async fn metadata(State(Provider(provider)): State<Provider>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", provider.issuer);
    Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(State(Provider(provider)): State<Provider>) -> Json<Value> {
    Json(json!({ "keys": [provider.signer().public_jwk()] }))
}

/// An authorization request (OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).
#[derive(Deserialize)]
struct Request {
    client_id: String,
    redirect_uri: String,
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    max_age: Option<u64>,
}

impl Request {
    /// The error code of RFC 6749 §4.1.2.1, if the request must be refused.
    fn fault(&self) -> Option<&'static str> {
        if self.response_type != "code" {
            return Some("unsupported_response_type");
        }
        if !self.scope.split(' ').any(|scope| scope == "openid") {
            return Some("invalid_scope");
        }
        // A SHA-256 digest in base64url.
        let pkce = self.code_challenge_method == "S256" && self.code_challenge.len() == 43;
        (!pkce).then_some("invalid_request")
    }
}

impl ProviderState {
    fn signer(&self) -> std::sync::MutexGuard<'_, Signer> {
        self.signer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mischief(&self) -> Mischief {
        *self.mischief.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that the request is from the registered client. Without it, there is no redirect URI
    /// for a response.
    fn read(&self, query: &str) -> Option<Request> {
        let request: Request = serde_urlencoded::from_str(query).ok()?;
        let ours =
            request.client_id == self.client.id && request.redirect_uri == self.client.redirect_uri;
        ours.then_some(request)
    }

    /// Redirects the user back to the app.
    fn answer(&self, request: &Request, outcome: (&str, &str)) -> Response {
        let mut answer = vec![outcome];
        match self.mischief() {
            Mischief::OtherAnswer => answer.push(("iss", "http://127.0.0.1:1")),
            Mischief::NobodysAnswer => {}
            _ => answer.push(("iss", &self.issuer)),
        }
        if let Some(state) = &request.state {
            answer.push(("state", state));
        }
        let Ok(answer) = serde_urlencoded::to_string(answer) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let location = format!("{}?{answer}", request.redirect_uri);
        (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
    }
}

/// Shows the choice of users. A real provider would authenticate them.
async fn ask(State(Provider(provider)): State<Provider>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let Some(request) = provider.read(query) else {
        return not_registered();
    };
    if let Some(fault) = request.fault() {
        return provider.answer(&request, ("error", fault));
    }
    let query = page::escape(query);
    let mut body = format!(
        "<h1>Example ID</h1><p>{} wants to know who you are.</p>\
         <form method=post><input type=hidden name=request value=\"{query}\">",
        page::escape(&request.client_id)
    );
    for (subject, name) in USERS {
        body.push_str(&format!(
            "<button name=user value={subject}>{name}</button> "
        ));
    }
    body.push_str("<button name=user value=\"\">Cancel</button></form>");
    page::show(StatusCode::OK, &origin_of(&request.redirect_uri), &body)
}

fn not_registered() -> Response {
    let body = "<p>An app that is not registered here has sent you.</p>";
    page::show(StatusCode::BAD_REQUEST, "", body)
}

fn origin_of(uri: &str) -> String {
    let uri: Uri = uri.parse().unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}

/// The form: the original request and the user's choice.
#[derive(Deserialize)]
struct Decision {
    request: String,
    user: String,
}

async fn decide(State(Provider(provider)): State<Provider>, body: Bytes) -> Response {
    let Ok(decision) = serde_urlencoded::from_bytes::<Decision>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(request) = provider.read(&decision.request) else {
        return not_registered();
    };
    if let Some(fault) = request.fault() {
        return provider.answer(&request, ("error", fault));
    }
    let mut users = USERS.into_iter();
    let Some((subject, name)) = users.find(|(subject, _)| *subject == decision.user) else {
        return provider.answer(&request, ("error", "access_denied"));
    };
    let grant = Grant {
        subject,
        name,
        nonce: request.nonce.clone(),
        challenge: request.code_challenge.clone(),
        auth_time: SystemClock.now().as_secs(),
        dated: request.max_age.is_some(),
    };
    match provider.codes.issue(grant) {
        Ok(code) => provider.answer(&request, ("code", &code)),
        Err(_) => provider.answer(&request, ("error", "server_error")),
    }
}

/// A token request (RFC 6749 §4.1.3, RFC 7636 §4.5).
#[derive(Deserialize)]
struct Redemption {
    grant_type: String,
    code: String,
    redirect_uri: String,
    #[serde(default)]
    code_verifier: String,
}

#[derive(Serialize)]
struct IdToken<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    acr: &'a str,
    amr: [&'a str; 1],
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

async fn redeem(
    State(Provider(provider)): State<Provider>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let refuse = |status, error: &str| (status, Json(json!({ "error": error }))).into_response();
    if !is_client(&provider.client, &headers) {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let Ok(asked) = serde_urlencoded::from_bytes::<Redemption>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request");
    };
    if asked.grant_type != "authorization_code" {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let grant = provider.codes.redeem(&asked.code, &asked.code_verifier);
    let grant = grant.filter(|_| asked.redirect_uri == provider.client.redirect_uri);
    let Some(grant) = grant else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    match tokens(&provider, &grant) {
        Ok(tokens) => ([("cache-control", "no-store")], Json(tokens)).into_response(),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    }
}

fn tokens(provider: &ProviderState, grant: &Grant) -> Result<Value, Failure> {
    let now = SystemClock.now().as_secs();
    let mut claims = IdToken {
        iss: &provider.issuer,
        sub: grant.subject,
        aud: &provider.client.id,
        iat: now,
        exp: now + ID_TOKEN_LIVES_FOR,
        auth_time: grant.dated.then_some(grant.auth_time),
        acr: "password",
        amr: ["pwd"],
        name: grant.name,
        nonce: grant.nonce.as_deref(),
    };
    let mischief = provider.mischief();
    match mischief {
        Mischief::OtherAudience => claims.aud = "another-app",
        Mischief::OtherNonce => claims.nonce = Some("of-another-login"),
        Mischief::OtherIssuer => claims.iss = "http://127.0.0.1:1",
        Mischief::Expired => claims.exp = now - 1,
        Mischief::OldLogin => claims.auth_time = Some(grant.auth_time - 3600),
        Mischief::Undated => claims.auth_time = None,
        Mischief::None | Mischief::Altered | Mischief::NobodysAnswer | Mischief::OtherAnswer => {}
    }
    let mut id_token = provider.signer().sign(&claims)?;
    if mischief == Mischief::Altered {
        claims.sub = USERS[1].0;
        let forged = provider.signer().sign(&claims)?;
        id_token = signer::with_payload_of(&id_token, &forged)?;
    }
    Ok(json!({
        "access_token": signer::random_word()?,
        "token_type": "Bearer",
        "expires_in": ID_TOKEN_LIVES_FOR,
        "id_token": id_token,
    }))
}

/// Checks the client's credentials (RFC 6749 §2.3.1). The registered values need no form encoding.
fn is_client(client: &Client, headers: &HeaderMap) -> bool {
    let expected = format!("{}:{}", client.id, client.secret);
    let presented = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode_to_vec(encoded).ok());
    presented.is_some_and(|presented| presented.ct_eq(expected.as_bytes()).into())
}
