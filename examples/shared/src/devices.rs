//! The forms of the device list, for browsers without script. With script, the page calls the
//! ready-made routes under `/auth`.

use auth_core::session::SessionId;
use serde::Deserialize;

use crate::reply::Reply;

/// The sessions that a form ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All sessions of the user.
    All,
    /// One session.
    One(SessionId),
    /// All sessions but the one of the request.
    Others,
}

#[derive(Deserialize)]
struct Form {
    end: String,
}

impl Ending {
    /// Reads `end=all`, `end=others` or `end=` a session's id.
    ///
    /// # Errors
    /// The response for any other body: 400.
    pub fn read(body: &[u8]) -> Result<Self, Reply> {
        let bad = || Reply::problem(400, "the session to end is missing");
        let form: Form = serde_urlencoded::from_bytes(body).map_err(|_| bad())?;
        match form.end.as_str() {
            "all" => Ok(Self::All),
            "others" => Ok(Self::Others),
            sid => SessionId::parse(sid).map(Self::One).ok_or_else(bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_to_end() {
        assert_eq!(Ending::read(b"end=all").unwrap(), Ending::All);
        assert_eq!(Ending::read(b"end=others").unwrap(), Ending::Others);
        let sid = "WqiLOkvdBQr15g7_ZKcuiA";
        let one = Ending::read(format!("end={sid}").as_bytes()).unwrap();
        assert_eq!(one, Ending::One(SessionId::parse(sid).unwrap()));
        for bad in ["", "end=", "end=everything", "start=all"] {
            assert!(Ending::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
