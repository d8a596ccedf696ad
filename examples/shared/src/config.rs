//! Configuration from the environment.

use std::path::PathBuf;

/// Where to listen and where to keep files.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HOST`: the address to listen on, default `127.0.0.1`.
    pub host: String,
    /// `PORT`: the port, 0 for any free one.
    pub port: u16,
    /// `DATA_DIR`: where the keys are kept, default `example-data`. Apps that share it accept each
    /// other's tokens.
    pub data_dir: PathBuf,
    /// `DEMO_PASSWORD`: the password of all demo users; by default each gets a random one at every
    /// start.
    pub demo_password: Option<String>,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// If `PORT` is no port.
    pub fn from_env(default_port: u16) -> Result<Self, String> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let port = match var("PORT") {
            Some(text) => text
                .parse()
                .map_err(|_| format!("PORT is {text:?}, which is no port number"))?,
            None => default_port,
        };
        Ok(Self {
            host: var("HOST").unwrap_or_else(|| "127.0.0.1".to_owned()),
            port,
            data_dir: var("DATA_DIR")
                .unwrap_or_else(|| "example-data".to_owned())
                .into(),
            demo_password: var("DEMO_PASSWORD"),
        })
    }
}
