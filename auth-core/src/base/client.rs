//! [`ClientInfo`]: the client of a request.

use crate::base::opaque::opaque_debug;

/// User agent and address of a client, for the list of devices and for events.
#[derive(Clone, Default)]
#[must_use]
pub struct ClientInfo {
    pub(crate) user_agent: Option<Box<str>>,
    pub(crate) ip: Option<Box<str>>,
}

impl ClientInfo {
    /// Creates an empty value, without user agent and address.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the user agent from the `User-Agent` header. Stored up to 120 bytes.
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into().into_boxed_str());
        self
    }

    /// Sets the address of the client, as far as the app trusts it.
    pub fn with_ip(mut self, ip: impl Into<String>) -> Self {
        self.ip = Some(ip.into().into_boxed_str());
        self
    }

    /// The user agent, as the client sent it.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The address, as the app passed it.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }
}

opaque_debug!(ClientInfo);
