use auth_core::Auth;

async fn start() {
    let _ = Auth::for_issuer("https://app.example")
        .audience("https://app.example/api")
        .start()
        .await;
}

fn main() {}
