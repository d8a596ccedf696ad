use auth_core::{Authenticator, Key};

fn main() {
    let key = Key::hs256("k1", &[7; 32]).unwrap();
    let _ = Authenticator::<()>::for_issuer("https://issuer.example").keys(key);
}
