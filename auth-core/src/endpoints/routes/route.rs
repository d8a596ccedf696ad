//! The session routes: their paths and methods.

/// A session route. Adapters store it with the path that they registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionRoute {
    /// `POST {prefix}/logout`
    Logout,
    /// `POST {prefix}/logout-all`
    LogoutAll,
    /// `POST {prefix}/logout-others`
    LogoutOthers,
    /// `POST {prefix}/refresh`
    Refresh,
    /// `DELETE {prefix}/sessions/{sid}`
    Session,
    /// `GET {prefix}/sessions`
    Sessions,
}

impl SessionRoute {
    pub(crate) const ALL: [Self; 6] = [
        Self::Logout,
        Self::LogoutAll,
        Self::LogoutOthers,
        Self::Refresh,
        Self::Session,
        Self::Sessions,
    ];

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Logout => "/logout",
            Self::LogoutAll => "/logout-all",
            Self::LogoutOthers => "/logout-others",
            Self::Refresh => "/refresh",
            Self::Session => "/sessions/{sid}",
            Self::Sessions => "/sessions",
        }
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Logout | Self::LogoutAll | Self::LogoutOthers | Self::Refresh => "POST",
            Self::Session => "DELETE",
            Self::Sessions => "GET",
        }
    }
}
