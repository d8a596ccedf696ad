use auth_core::{Carrier, PresentedToken};

fn main() {
    let token = PresentedToken::new("a.b.c", Carrier::Header).unwrap();
    println!("{token}");
}
