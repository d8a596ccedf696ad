//! The forms of the device list, for browsers without script. With script, the page calls the
//! ready-made routes under `/auth`.

use auth_core::session::{Outcome, SessionId, Sessions};
use auth_core::{Authenticated, CookieTransport};
use serde::Deserialize;

use crate::Profile;
use crate::reply::Reply;

/// `end=` a session's id, `others` or `all`.
#[derive(Deserialize)]
struct Form {
    end: String,
}

/// Ends what the form says, and shows the page again.
///
/// # Errors
/// The answer to send: 400 for a body that does not fit, 503 if the store cannot be reached.
pub async fn end_devices(
    sessions: &Sessions,
    cookies: &dyn CookieTransport,
    user: &Authenticated<Profile>,
    body: &[u8],
) -> Result<Reply, Reply> {
    let form: Form =
        serde_urlencoded::from_bytes(body).map_err(|_| Reply::problem(400, "say what to end"))?;
    let own = user.session_id().and_then(SessionId::parse);
    let mut reply = Reply::see_other("/");
    match (form.end.as_str(), own) {
        ("all", _) => {
            sessions.end_all(user.subject()).await?;
            for cookie in cookies.clear() {
                reply = reply.with_header("set-cookie", cookie);
            }
        }
        ("others", Some(own)) => match sessions.end_others(user.subject(), own).await {
            // This session goes on with a new access token: the old ones have just ended.
            Outcome::Granted(tokens) => {
                let token = tokens.access().expose();
                let cookie = cookies.set_access(token, tokens.cookie_max_age())?;
                reply = reply.with_header("set-cookie", cookie);
            }
            Outcome::Transient(error) => return Err(error.into()),
            // It was over itself; the page will say so.
            Outcome::Terminal(_) | Outcome::Refused(_) => {}
        },
        (sid, _) => {
            if let Some(session) = SessionId::parse(sid) {
                sessions.end_one(user.subject(), session).await?;
            }
        }
    }
    Ok(reply)
}
