use auth_core::source::{Carrier, PresentedToken};

fn main() {
    let token = PresentedToken::new("a.b.c", Carrier::Header).unwrap();
    println!("{token}");
}
