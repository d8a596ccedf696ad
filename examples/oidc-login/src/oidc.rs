//! The provider, seen from the app: where to send the user, and who came back.

use std::error::Error;
use std::fmt;

use auth_core::{Clock, SystemClock, Timestamp};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreProviderMetadata};
use openidconnect::url::Url;
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    PkceCodeChallenge, RedirectUrl, SignatureVerificationError, TokenResponse,
};
use tokio::sync::Mutex;

use crate::Failure;
use crate::accounts::{Identity, Profile};
use crate::pending::Pending;

/// For how long the provider's metadata and keys are used.
const FRESH_FOR: u64 = 10 * 60;
const MAX_BYTES: usize = 64 * 1024;

/// What was agreed with the provider when the app was registered there.
#[derive(Clone)]
pub struct Settings {
    /// The provider's issuer URL; all else is found from there.
    pub issuer: String,
    /// The app, to the provider.
    pub client_id: String,
    /// Proves that it is the app.
    pub client_secret: String,
    /// Where users come back to.
    pub redirect_uri: String,
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider to sign in with.
pub struct Oidc {
    settings: Settings,
    http: reqwest::Client,
    metadata: Mutex<Option<(Timestamp, CoreProviderMetadata)>>,
}

/// Who signed in, and when.
pub struct SignedIn {
    /// Who.
    pub identity: Identity,
    /// What to call them.
    pub profile: Profile,
    /// When they last proved it to the provider, if it says so.
    pub auth_time: Option<Timestamp>,
    /// How they proved it (RFC 8176).
    pub methods: Vec<String>,
}

/// The provider's answer, as the browser brings it.
#[derive(serde::Deserialize)]
pub struct Answer {
    /// What [`Pending`] knows too.
    #[serde(default)]
    pub state: String,
    code: Option<String>,
    iss: Option<String>,
}

impl Oidc {
    /// A provider that is not asked anything yet.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            // An answer that leads elsewhere is none (and could lead into our own network).
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(5))
            .build()?;
        Ok(Self {
            settings,
            http,
            metadata: Mutex::new(None),
        })
    }

    /// Begins a login: where to send the user, and what to remember until they are back.
    pub async fn begin(&self) -> Result<(Url, Pending), Failure> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client(FRESH_FOR).await?;
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let pending = Pending {
            state,
            nonce,
            verifier,
        };
        Ok((url, pending))
    }

    /// Finishes the login that `pending` began. `answer` must be its answer.
    pub async fn finish(&self, answer: Answer, pending: Pending) -> Result<SignedIn, Failure> {
        // RFC 9207: an answer of another provider, if there were two, would take its code there.
        if answer.iss.is_some_and(|iss| iss != self.settings.issuer) {
            return Err("the answer is another provider's".into());
        }
        let code = answer.code.ok_or("the provider did not sign the user in")?;
        let client = self.client(FRESH_FOR).await?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))?
            .set_pkce_verifier(pending.verifier)
            .request_async(&|request| fetch(self.http.clone(), request))
            .await?;
        let token = tokens.id_token().ok_or("there is no ID token")?;
        match self.verified(&client, token, &pending.nonce) {
            // The provider's keys may have changed since we fetched them. The token is from the
            // provider itself: nobody else can make us look again and again.
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let client = self.client(0).await?;
                Ok(self.verified(&client, token, &pending.nonce)?)
            }
            verified => Ok(verified?),
        }
    }

    /// Signature, issuer, audience, expiry and nonce (OpenID Connect Core §3.1.3.7).
    fn verified(
        &self,
        client: &Client,
        token: &CoreIdToken,
        nonce: &Nonce,
    ) -> Result<SignedIn, ClaimsVerificationError> {
        let claims = token.claims(&client.id_token_verifier(), nonce)?;
        let subject = claims.subject().to_string();
        let name = claims.name().and_then(|name| name.get(None));
        Ok(SignedIn {
            profile: Profile {
                name: name.map_or_else(|| subject.clone(), |name| name.to_string()),
            },
            identity: Identity {
                issuer: claims.issuer().to_string(),
                subject,
            },
            auth_time: claims
                .auth_time()
                .map(|time| Timestamp::from_secs(time.timestamp())),
            methods: claims
                .auth_method_refs()
                .into_iter()
                .flatten()
                .map(|method| method.to_string())
                .collect(),
        })
    }

    /// The provider as its metadata describe it, which are fetched if they are older than this.
    async fn client(&self, seconds: u64) -> Result<Client, Failure> {
        let mut kept = self.metadata.lock().await;
        let now = SystemClock.now();
        let metadata = match &*kept {
            Some((at, metadata)) if now.saturating_since(*at).as_secs() < seconds => metadata,
            _ => {
                let issuer = IssuerUrl::new(self.settings.issuer.clone())?;
                let http = |request| fetch(self.http.clone(), request);
                let metadata = CoreProviderMetadata::discover_async(issuer, &http).await?;
                &kept.insert((now, metadata)).1
            }
        };
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(self.settings.client_secret.clone())),
        );
        Ok(client.set_redirect_uri(RedirectUrl::new(self.settings.redirect_uri.clone())?))
    }

    /// The provider's origin, for the page's Content-Security-Policy.
    pub fn origin(&self) -> Result<String, Failure> {
        Ok(Url::parse(&self.settings.issuer)?
            .origin()
            .ascii_serialization())
    }
}

/// One exchange with the provider, with an answer that fits into memory.
async fn fetch(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let mut response = http.execute(request.try_into()?).await?;
    let mut answer = HttpResponse::new(Vec::new());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    while let Some(chunk) = response.chunk().await? {
        if answer.body().len() + chunk.len() > MAX_BYTES {
            return Err(FetchError::TooLong);
        }
        answer.body_mut().extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// The provider cannot be asked.
#[derive(Debug)]
enum FetchError {
    Http(reqwest::Error),
    TooLong,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::TooLong => f.write_str("the provider's answer is too long"),
        }
    }
}

impl Error for FetchError {}
