use auth_core::Auth;
use auth_core::store::Store;

fn open(store: impl Store) {
    let _ = Auth::for_issuer("https://app.example").store(store);
}

fn main() {}
