//! The whole flow with a minimal browser: login, a request, logout; then the attacks, none of which
//! may log in.

use std::collections::BTreeMap;

use openidconnect::url::Url;
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::{Method, Response, StatusCode};

use crate::provider::Mischief;
use crate::{Failure, Running};

const ADA: &str = "248289761001";
const ACCESS: &str = "__Host-Http-at";
const PENDING: &str = "__Host-Http-login";

/// Runs the flow, and returns an error at the first unexpected result.
pub async fn play(running: &Running) -> Result<(), Failure> {
    signs_in_and_out(running).await?;
    steps_up(running).await?;
    follows_the_providers_keys(running).await?;
    refuses_what_this_browser_did_not_begin(running).await?;
    refuses_what_the_provider_does_not_stand_for(running).await?;
    println!("only a login that began and ended as it should became a session");
    Ok(())
}

async fn signs_in_and_out(running: &Running) -> Result<(), Failure> {
    let mut browser = Browser::new(&running.app)?;
    browser.expect("/me", 401, "before signing in").await?;
    let callback = browser.sign_in_at_the_provider(ADA).await?;
    let answer = browser.come_back(&callback).await?;
    check(answer == 303, "the way back ends at our page")?;
    check(browser.has(ACCESS), "there is a session cookie")?;
    check(!browser.has(PENDING), "the pending login is forgotten")?;
    let me = browser.get("/me").await?;
    let me: serde_json::Value = serde_json::from_slice(&me.bytes().await?)?;
    check(me["name"] == "Ada Example", "it is Ada's session")?;
    let account = me["subject"].clone();

    let first = browser.cookie(ACCESS);
    let callback = browser.sign_in_at_the_provider(ADA).await?;
    browser.come_back(&callback).await?;
    let second = browser.cookie(ACCESS);
    check(first != second, "another login is another session")?;
    let me = browser.get("/me").await?;
    let me: serde_json::Value = serde_json::from_slice(&me.bytes().await?)?;
    check(me["subject"] == account, "of the same account")?;

    let (status, _) = browser.post_form("/logout", "").await?;
    check(status == 303, "signing out")?;
    check(!browser.has(ACCESS), "takes the cookie away")?;
    browser.expect("/me", 401, "after signing out").await
}

/// A page that requires a recent login: the app requests one from the provider and checks its
/// response.
pub async fn steps_up(running: &Running) -> Result<(), Failure> {
    const RECENT: &str = "max_age=300&acr_values=password";
    let mut browser = Browser::new(&running.app)?;
    let callback = browser.sign_in_at_the_provider(ADA).await?;
    browser.come_back(&callback).await?;
    browser
        .expect("/account", 401, "unknown since when")
        .await?;
    let page = browser.get("/account").await?.text().await?;
    check(
        page.contains("name=max_age value=300"),
        "the page passes on what is asked for",
    )?;
    let (_, location) = browser.post_form("/login", RECENT).await?;
    let location = location.ok_or("the button does not lead to the provider")?;
    check(
        parameter(&location, "max_age")? == "300"
            && parameter(&location, "acr_values")? == "password",
        "so is the provider",
    )?;
    for mischief in [Mischief::OldLogin, Mischief::Undated] {
        running.provider.misbehave(mischief);
        let callback = browser.sign_in_with(ADA, RECENT).await?;
        let status = browser.come_back(&callback).await?;
        running.provider.misbehave(Mischief::None);
        check(status == 400, &format!("refused: {mischief:?}"))?;
        browser.expect("/account", 401, "as before").await?;
    }
    let callback = browser.sign_in_with(ADA, RECENT).await?;
    check(browser.come_back(&callback).await? == 303, "signed in anew")?;
    browser.expect("/account", 200, "after that").await?;
    let me = browser.get("/me").await?;
    let me: serde_json::Value = serde_json::from_slice(&me.bytes().await?)?;
    check(
        me["acr"] == "password" && me["amr"] == serde_json::json!(["pwd"]),
        "how the user signed in is taken over",
    )?;
    // Without `max_age` in the request, the provider sends no time, twice in a row.
    let callback = browser.sign_in_at_the_provider(ADA).await?;
    browser.come_back(&callback).await?;
    browser
        .expect("/account", 403, "signed in to no avail")
        .await
}

/// The provider has changed its key since the app's last fetch.
async fn follows_the_providers_keys(running: &Running) -> Result<(), Failure> {
    let mut browser = Browser::new(&running.app)?;
    let callback = browser.sign_in_at_the_provider(ADA).await?;
    running.provider.replace_key()?;
    check(
        browser.come_back(&callback).await? == 303,
        "a new key of the provider is fetched",
    )
}

async fn refuses_what_this_browser_did_not_begin(running: &Running) -> Result<(), Failure> {
    // An attacker's login up to the last step, which a visitor then takes.
    let mut attacker = Browser::new(&running.app)?;
    let stolen = attacker.sign_in_at_the_provider(ADA).await?;
    let mut visitor = Browser::new(&running.app)?;
    check(
        visitor.come_back(&stolen).await? == 400 && !visitor.has(ACCESS),
        "the end of a login that another browser began is refused",
    )?;

    let own = visitor.sign_in_at_the_provider(ADA).await?;
    check(
        visitor.come_back(&stolen).await? == 400 && !visitor.has(ACCESS),
        "also while this browser has a login of its own under way",
    )?;
    let mut crossed = own.clone();
    let code = parameter(&stolen, "code")?;
    set_parameter(&mut crossed, "code", &code);
    check(
        visitor.come_back(&crossed).await? == 400 && !visitor.has(ACCESS),
        "a code of another login is refused: its PKCE challenge does not fit",
    )?;
    check(
        visitor.come_back(&own).await? == 400 && !visitor.has(ACCESS),
        "and a pending login is good for one answer",
    )?;

    let own = visitor.sign_in_at_the_provider(ADA).await?;
    let pending = visitor.cookie(PENDING);
    check(visitor.come_back(&own).await? == 303, "an honest one works")?;
    visitor.forget(ACCESS);
    visitor.plant(PENDING, pending);
    check(
        visitor.come_back(&own).await? == 400 && !visitor.has(ACCESS),
        "a code is good once, even with the cookie put back",
    )?;

    let mut other_site = Browser::new(&running.app)?;
    other_site.site = "cross-site";
    let (status, _) = other_site.post_form("/login", "").await?;
    check(
        status == 403 && !other_site.has(PENDING),
        "another site cannot begin a login for a visitor",
    )
}

/// Responses and ID tokens that an honest provider never sends.
pub async fn refuses_what_the_provider_does_not_stand_for(
    running: &Running,
) -> Result<(), Failure> {
    let mut browser = Browser::new(&running.app)?;
    let callback = browser.sign_in_at_the_provider("").await?;
    check(
        browser.come_back(&callback).await? == 400 && !browser.has(ACCESS),
        "a user who cancels is not signed in",
    )?;
    for mischief in [
        Mischief::OtherAudience,
        Mischief::OtherNonce,
        Mischief::OtherIssuer,
        Mischief::Expired,
        Mischief::Altered,
        Mischief::OtherAnswer,
        Mischief::NobodysAnswer,
    ] {
        running.provider.misbehave(mischief);
        let mut browser = Browser::new(&running.app)?;
        let callback = browser.sign_in_at_the_provider(ADA).await?;
        let status = browser.come_back(&callback).await?;
        running.provider.misbehave(Mischief::None);
        check(
            status == 400 && !browser.has(ACCESS),
            &format!("refused: {mischief:?}"),
        )?;
    }
    Ok(())
}

fn check(fulfilled: bool, what: &str) -> Result<(), Failure> {
    if fulfilled {
        println!("  {what}");
        return Ok(());
    }
    Err(format!("not so: {what}").into())
}

fn parameter(url: &Url, name: &str) -> Result<String, Failure> {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    Ok(found.ok_or("a parameter is missing")?.1.into_owned())
}

fn set_parameter(url: &mut Url, name: &str, value: &str) {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut query = url.query_pairs_mut();
    query.clear();
    for (key, old) in pairs {
        let value = if key == name { value } else { &old };
        query.append_pair(&key, value);
    }
}

/// The parts of a browser that the flow needs: the cookies of one host, and `Sec-Fetch-Site`.
struct Browser {
    http: reqwest::Client,
    app: String,
    site: &'static str,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(app: &str) -> Result<Self, Failure> {
        Ok(Self {
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            app: app.to_owned(),
            site: "same-origin",
            cookies: BTreeMap::new(),
        })
    }

    fn has(&self, cookie: &str) -> bool {
        self.cookies.contains_key(cookie)
    }

    fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.get(name).cloned()
    }

    fn forget(&mut self, cookie: &str) {
        self.cookies.remove(cookie);
    }

    fn plant(&mut self, cookie: &str, value: Option<String>) {
        if let Some(value) = value {
            self.cookies.insert(cookie.to_owned(), value);
        }
    }

    async fn expect(&mut self, path: &str, status: u16, when: &str) -> Result<(), Failure> {
        let answer = self.get(path).await?.status();
        check(answer == status, &format!("{path} {when}: {answer}"))
    }

    async fn get(&mut self, path: &str) -> Result<Response, Failure> {
        let url = format!("{}{path}", self.app);
        self.send(Method::GET, &url, None, self.site).await
    }

    async fn post_form(
        &mut self,
        path: &str,
        form: &str,
    ) -> Result<(StatusCode, Option<Url>), Failure> {
        let url = format!("{}{path}", self.app);
        let form = Some(form.to_owned());
        let response = self.send(Method::POST, &url, form, self.site).await?;
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| Url::parse(value.to_str().ok()?).ok());
        Ok((response.status(), location))
    }

    /// Submits the login form, and that of this user at the provider. Returns the redirect back.
    async fn sign_in_at_the_provider(&mut self, user: &str) -> Result<Url, Failure> {
        self.sign_in_with(user, "").await
    }

    /// Submits the login form with these fields.
    async fn sign_in_with(&mut self, user: &str, form: &str) -> Result<Url, Failure> {
        let (_, location) = self.post_form("/login", form).await?;
        let at_provider = location.ok_or("the button does not lead to the provider")?;
        let page = self.http.get(at_provider.clone()).send().await?;
        check(page.status() == 200, "the provider asks")?;
        let request = at_provider.query().unwrap_or_default();
        let form = serde_urlencoded::to_string([("request", request), ("user", user)])?;
        let mut decide = at_provider.clone();
        decide.set_query(None);
        let answer = self.http.post(decide).body(form).send().await?;
        let location = answer.headers().get(LOCATION).ok_or("no way back")?;
        Ok(Url::parse(location.to_str()?)?)
    }

    /// Follows the provider's redirect. The request comes from another site.
    async fn come_back(&mut self, url: &Url) -> Result<u16, Failure> {
        let response = self.send(Method::GET, url.as_str(), None, "cross-site");
        Ok(response.await?.status().as_u16())
    }

    async fn send(
        &mut self,
        method: Method,
        url: &str,
        form: Option<String>,
        site: &str,
    ) -> Result<Response, Failure> {
        let mut request = self
            .http
            .request(method, url)
            .header("sec-fetch-site", site);
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter();
            let pairs: Vec<String> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header("cookie", pairs.join("; "));
        }
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        let response = request.send().await?;
        for line in response.headers().get_all(SET_COOKIE) {
            self.keep(line.to_str()?)?;
        }
        Ok(response)
    }

    /// Stores or deletes a cookie, and checks the requirements of its prefix.
    fn keep(&mut self, line: &str) -> Result<(), Failure> {
        let mut parts = line.split("; ");
        let (name, value) = parts
            .next()
            .and_then(|pair| pair.split_once('='))
            .ok_or("a cookie without a name")?;
        let attributes: Vec<&str> = parts.collect();
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            if !attributes.contains(&attribute) {
                return Err(format!("the cookie {name} lacks {attribute}").into());
            }
        }
        if attributes.contains(&"Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }
}
