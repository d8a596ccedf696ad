use std::collections::BTreeMap;

use auth_core::store::Store;
use auth_core::{Auth, StartError};

type User = BTreeMap<String, String>;

async fn start(store: impl Store) -> Result<Auth<User>, StartError> {
    Auth::for_issuer("https://app.example")
        .audience("https://app.example/api")
        .store(store)
        .start()
        .await
}

fn main() {}
