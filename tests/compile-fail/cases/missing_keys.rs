use auth_core::Authenticator;

fn main() {
    let _ = Authenticator::<()>::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .build();
}
