use auth_core::Authenticated;

fn main() {
    let _forge = Authenticated::<()>::new;
}
