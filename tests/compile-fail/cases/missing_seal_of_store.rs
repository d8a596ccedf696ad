use auth_core::Auth;

/// A shared store as `PostgresStore::connect` returns it.
struct PostgresStore;

fn open(store: PostgresStore) {
    let _ = Auth::for_issuer("https://app.example")
        .audience("https://app.example/api")
        .store(store);
}

fn main() {}
