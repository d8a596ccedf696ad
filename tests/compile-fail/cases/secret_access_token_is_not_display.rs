use auth_core::AccessToken;

fn show(token: &AccessToken) {
    println!("{token}");
}

fn main() {
    let _ = show;
}
