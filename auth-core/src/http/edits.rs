//! [`ResponseEdits`]: the changes that a guard makes to the app's response.

use std::sync::Arc;

use crate::base::clock::{Clock, Timestamp};
use crate::http::header::{HeaderLine, private, uncached};

/// Changes to the app's response: an access cookie after a silent refresh, or lines that clear both
/// cookies.
#[derive(Debug, Default)]
pub struct ResponseEdits {
    lines: Vec<HeaderLine>,
    deadline: Option<Deadline>,
    /// Whether the response is private, because a cookie authenticated the request.
    personal: bool,
}

/// Time after which the lines are too late.
#[derive(Debug)]
struct Deadline {
    clock: Arc<dyn Clock>,
    at: Timestamp,
}

impl ResponseEdits {
    /// Creates the edits that clear the cookies of an ended session.
    pub(crate) fn clearing(lines: Vec<HeaderLine>) -> Self {
        let mut edits = Self {
            lines,
            deadline: None,
            personal: false,
        };
        edits.forbid_storing();
        edits
    }

    /// Creates the edits of a silent refresh. They apply to a response that is ready by `at`: after
    /// that the browser may hold a newer access cookie.
    pub(crate) fn renewing(access: HeaderLine, clock: Arc<dyn Clock>, at: Timestamp) -> Self {
        Self {
            lines: vec![access],
            deadline: Some(Deadline { clock, at }),
            personal: false,
        }
    }

    /// Marks the response as private if a cookie authenticated the request: shared caches do not
    /// know that, and must not store it (RFC 9111 §3.5 protects `Authorization` only).
    pub(crate) fn personal(mut self, personal: bool) -> Self {
        self.personal = personal;
        self
    }

    /// Whether there are no edits, as on most requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && !self.personal
    }

    /// The header lines to write when the response is ready. A line that [is
    /// appended](HeaderLine::is_appended) is added to lines of the same name, any other replaces
    /// them.
    ///
    /// `set_by_app` are the values of the response's own `Set-Cookie` lines. A cookie that the app
    /// has set or deleted itself is kept: a login or logout is newer than a refresh that started
    /// before it. Two lines of one name are forbidden (RFC 6265bis §4.1.1), and browsers differ in
    /// their choice. `says_caching` is whether the response has its own `Cache-Control` line, which
    /// is kept unless the edits contain tokens.
    #[must_use]
    pub fn finish<'a>(
        mut self,
        set_by_app: impl IntoIterator<Item = &'a [u8]>,
        says_caching: bool,
    ) -> Vec<HeaderLine> {
        if self.lines.is_empty() {
            self.lines
                .extend((self.personal && !says_caching).then(private));
            return self.lines;
        }
        if let Some(Deadline { clock, at }) = self.deadline.take() {
            if clock.now() > at {
                self.lines = Vec::new();
                return self.finish(set_by_app, says_caching);
            }
            self.forbid_storing();
        }
        for own in set_by_app {
            let name = cookie_name(own);
            let ours = |line: &HeaderLine| {
                line.is_appended() && cookie_name(line.value().as_bytes()) == name
            };
            self.lines.retain(|line| !ours(line));
        }
        self.lines
    }

    fn forbid_storing(&mut self) {
        if !self.lines.is_empty() {
            self.lines.extend(uncached());
        }
    }
}

/// The cookie name: the text before the first `=` of the first part (RFC 6265bis §5.6).
fn cookie_name(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .position(|byte| matches!(byte, b'=' | b';'))
        .unwrap_or(line.len());
    line.get(..end).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header::SET_COOKIE;

    fn names(own: &[&str]) -> Vec<String> {
        let lines = ["__Host-at=new; Path=/", "__Host-rt=new; Path=/"];
        let lines = lines.map(|line| HeaderLine::new(SET_COOKIE, line)).to_vec();
        let edits = ResponseEdits::clearing(lines);
        let lines = edits.finish(own.iter().map(|line| line.as_bytes()), false);
        let cookies = lines.iter().filter(|line| line.is_appended());
        cookies
            .map(|line| line.value().split('=').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn b17_the_apps_own_cookie_stands_and_a_cookie_is_told_by_its_exact_name() {
        assert_eq!(names(&[]), ["__Host-at", "__Host-rt"]);
        assert_eq!(
            names(&["other=1; Path=/", "__Host-at=; Max-Age=0"]),
            ["__Host-rt"]
        );
        assert_eq!(
            names(&["__Host-a=1", "__Host-att=1", "__host-at=1"]).len(),
            2
        );
        assert_eq!(names(&["Path=new", "x=__Host-at=1"]).len(), 2);
    }

    #[test]
    fn b18_edits_forbid_storing() {
        let lines = vec![HeaderLine::new(SET_COOKIE, "a=b")];
        let edits = ResponseEdits::clearing(lines).personal(true);
        let lines = edits.finish([], true);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("cdn-cache-control", "no-store"),
            ("surrogate-control", "no-store"),
            ("pragma", "no-cache"),
        ] {
            let mut own = lines.iter().filter(|line| line.name() == name);
            assert_eq!(own.next().unwrap().value(), value);
            assert!(own.next().is_none());
        }
        assert!(ResponseEdits::default().finish([], false).is_empty());
    }

    #[test]
    fn h16_a_response_to_one_person_says_so_unless_the_app_has_spoken() {
        let personal = || ResponseEdits::default().personal(true);
        assert!(!personal().is_empty());
        let lines = personal().finish([], false);
        assert_eq!(lines, [private()]);
        assert!(personal().finish([], true).is_empty());
    }
}
