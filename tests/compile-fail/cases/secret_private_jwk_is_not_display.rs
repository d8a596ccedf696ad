use auth_core::{Algorithm, Key};

fn main() {
    let (_key, private) = Key::generate("k1", Algorithm::EdDsa).unwrap();
    println!("{private}");
}
