use auth_core::{Auth, Store};

fn open(store: impl Store) {
    let _ = Auth::for_issuer("https://app.example").store(store);
}

fn main() {}
