//! [`ClientInfo`]: where a request comes from.

use std::fmt;

/// What the app knows about the client of a request, for the list of devices and for events.
#[derive(Clone, Default)]
#[must_use]
pub struct ClientInfo {
    pub(crate) user_agent: Option<Box<str>>,
    pub(crate) ip: Option<Box<str>>,
}

impl ClientInfo {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The `User-Agent` header. 120 bytes of it are kept.
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into().into_boxed_str());
        self
    }

    /// The client's address, as far as the app trusts it.
    pub fn with_ip(mut self, ip: impl Into<String>) -> Self {
        self.ip = Some(ip.into().into_boxed_str());
        self
    }

    /// The user agent, as the client gives it.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The address, as the app gives it.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }
}

impl fmt::Debug for ClientInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientInfo").finish_non_exhaustive()
    }
}
