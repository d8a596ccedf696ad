//! [`opaque_debug!`]: `Debug` without content.

/// Implements `Debug` with the name of the type alone, for secrets and for texts of users.
macro_rules! opaque_debug {
    ($($name:ident $(<$lifetime:lifetime>)?),+) => {
        $(impl std::fmt::Debug for $name $(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        })+
    };
}

pub(crate) use opaque_debug;
