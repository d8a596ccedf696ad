use auth_core::{Issuer, Key};

fn main() {
    let key = Key::hs256("k1", &[7; 32]).unwrap();
    let _ = Issuer::for_issuer("https://issuer.example").keys(key);
}
