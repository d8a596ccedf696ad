mod registered;
mod strictness;
mod types;

use crate::token::claims::parse::*;

/// Parses a payload in the dialect of this crate's own tokens.
fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<(RegisteredClaims, T), Cause> {
    crate::token::claims::parse(payload, Dialect::Own)
}

const EXP: &str = r#""exp":1800000000"#;

/// The payload `{"exp":1800000000, MORE}`.
fn payload(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!("{{{EXP}{comma}{more}}}")
}

fn read<T: DeserializeOwned>(more: &str) -> Result<T, Cause> {
    parse(payload(more).as_bytes()).map(|(_, private)| private)
}

fn registered(more: &str) -> Result<RegisteredClaims, Cause> {
    parse::<()>(payload(more).as_bytes()).map(|(registered, ())| registered)
}

#[derive(Debug, PartialEq, Deserialize)]
struct User {
    name: String,
    #[serde(default)]
    admin: bool,
}

fn alice() -> User {
    User {
        name: "alice".to_owned(),
        admin: false,
    }
}
