//! The client of the provider: the redirect to it, and the user after the return.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use auth_core::{Clock, SystemClock, Timestamp};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreIdToken, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode,
    CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::url::Url;
use openidconnect::{
    AdditionalProviderMetadata, AuthenticationContextClass, AuthorizationCode,
    ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, ProviderMetadata,
    RedirectUrl, SignatureVerificationError, TokenResponse,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::Failure;
use crate::accounts::{Identity, Profile};
use crate::pending::Pending;

/// Time for which the provider's metadata and keys are used, in seconds.
const FRESH_FOR: u64 = 10 * 60;
const MAX_BYTES: usize = 64 * 1024;
/// Maximum difference between the provider's clock and the local one.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);

/// The registration of the app at the provider.
#[derive(Clone)]
pub struct Settings {
    /// The provider's issuer URL, from which the other URLs are discovered.
    pub issuer: String,
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: String,
    /// The redirect URI.
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

/// The metadata of RFC 9207 §3.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Rfc9207 {
    /// Whether every response of the provider has `iss`.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Rfc9207 {}

type Metadata = ProviderMetadata<
    Rfc9207,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Additional requirements for a login, from the form on the page of a refusal.
#[derive(Default, Deserialize)]
pub struct StepUp {
    /// Maximum age of the login at the provider, in seconds.
    max_age: Option<u64>,
    /// Accepted authentication classes, separated by spaces.
    #[serde(default)]
    acr_values: String,
}

/// A provider for logins.
pub struct Oidc {
    settings: Settings,
    http: reqwest::Client,
    metadata: Mutex<Option<(Timestamp, Metadata)>>,
}

/// A user after the login at the provider, with its time.
pub struct SignedIn {
    /// The issuer and subject.
    pub identity: Identity,
    /// The display name.
    pub profile: Profile,
    /// The time of the login at the provider (`auth_time`), if it sends one.
    pub auth_time: Option<Timestamp>,
    /// The authentication methods, `amr` (RFC 8176).
    pub methods: Vec<String>,
    /// The authentication class, `acr`.
    pub class: Option<String>,
}

/// The provider's response in the redirect.
#[derive(Deserialize)]
pub struct Answer {
    /// The `state`, to be compared with [`Pending`].
    #[serde(default)]
    pub state: String,
    code: Option<String>,
    iss: Option<String>,
}

impl Oidc {
    /// Creates the client. It makes no request yet.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            // A redirect is not followed: it could lead into an internal network.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self {
            settings,
            http,
            metadata: Mutex::new(None),
        })
    }

    /// Begins a login. Returns the URL for the browser, and the state to keep until it returns.
    pub async fn begin(&self, step_up: &StepUp) -> Result<(Url, Pending), Failure> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client(&self.metadata(FRESH_FOR).await?)?;
        let mut request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        if let Some(seconds) = step_up.max_age {
            request = request.set_max_age(Duration::from_secs(seconds));
        }
        for class in step_up.acr_values.split_ascii_whitespace() {
            let class = AuthenticationContextClass::new(class.to_owned());
            request = request.add_auth_context_value(class);
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let pending = Pending {
            state,
            nonce,
            verifier,
            max_age: step_up.max_age,
        };
        Ok((url, pending))
    }

    /// Finishes the login of `pending`. `answer` must be the response to it.
    pub async fn finish(&self, answer: Answer, pending: Pending) -> Result<SignedIn, Failure> {
        let metadata = self.metadata(FRESH_FOR).await?;
        // RFC 9207 §2.4: the response of another provider, if there were two, would take its code
        // there. If the provider promises `iss` in every response, a response without it is
        // refused.
        let promised = metadata.additional_metadata();
        let promised = promised.authorization_response_iss_parameter_supported;
        match answer.iss {
            Some(iss) if iss != self.settings.issuer => {
                return Err("the response is from another provider".into());
            }
            None if promised => return Err("the response does not name its issuer".into()),
            _ => {}
        }
        let code = answer.code.ok_or("the provider refused the login")?;
        let client = self.client(&metadata)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))?
            .set_pkce_verifier(pending.verifier)
            .request_async(&|request| fetch(self.http.clone(), request))
            .await?;
        let token = tokens.id_token().ok_or("there is no ID token")?;
        let user = match self.verified(&client, token, &pending.nonce) {
            // The provider's keys may have changed since the last fetch. The token comes from the
            // provider itself, so an attacker cannot cause repeated fetches.
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let client = self.client(&self.metadata(0).await?)?;
                self.verified(&client, token, &pending.nonce)?
            }
            verified => verified?,
        };
        if let Some(max_age) = pending.max_age {
            check_age(user.auth_time, max_age)?;
        }
        Ok(user)
    }

    /// Verifies signature, issuer, audience, expiry and nonce (OpenID Connect Core §3.1.3.7).
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
            class: claims.auth_context_ref().map(|class| class.to_string()),
        })
    }

    /// The provider's metadata, fetched again if they are older than this.
    async fn metadata(&self, seconds: u64) -> Result<Metadata, Failure> {
        let mut kept = self.metadata.lock().await;
        let now = SystemClock.now();
        match &*kept {
            Some((at, metadata)) if now.saturating_since(*at).as_secs() < seconds => {
                Ok(metadata.clone())
            }
            _ => {
                let issuer = IssuerUrl::new(self.settings.issuer.clone())?;
                let http = |request| fetch(self.http.clone(), request);
                let metadata = Metadata::discover_async(issuer, &http).await?;
                Ok(kept.insert((now, metadata)).1.clone())
            }
        }
    }

    /// The client for the provider with these metadata.
    fn client(&self, metadata: &Metadata) -> Result<Client, Failure> {
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

/// Checks the time of a login with `max_age`: the provider must send it, and the app must check it
/// (OpenID Connect Core §3.1.2.1 and §3.1.3.7).
fn check_age(auth_time: Option<Timestamp>, max_age: u64) -> Result<(), Failure> {
    let at = auth_time.ok_or("the ID token has no auth_time")?;
    let age = SystemClock.now().saturating_since(at);
    if age > Duration::from_secs(max_age).saturating_add(CLOCKS_DIFFER) {
        return Err("the login at the provider is older than max_age".into());
    }
    Ok(())
}

/// Sends one request to the provider, with a limit on the size of the response.
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

/// The error for an unreachable provider.
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
            Self::TooLong => f.write_str("the provider's response is too long"),
        }
    }
}

impl Error for FetchError {}
