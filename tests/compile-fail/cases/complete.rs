//! Issuer, audience and keys are named: this is how it is meant.

use auth_core::{Authenticator, ConfigError, Issuer, Key};

fn main() -> Result<(), ConfigError> {
    let key = Key::hs256("k1", &[7; 32])?;
    let _auth = Authenticator::<()>::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key.clone())
        .build()?;
    let _issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key)?;
    Ok(())
}
