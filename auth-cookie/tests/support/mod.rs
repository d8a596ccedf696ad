//! A request that consists of cookie lines.

use auth_core::adapter::RequestView;

pub(crate) struct Cookies(pub(crate) Vec<Vec<u8>>);

impl Cookies {
    pub(crate) fn of(lines: &[&str]) -> Self {
        Self(lines.iter().map(|line| line.as_bytes().to_vec()).collect())
    }
}

impl RequestView for Cookies {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "cookie" {
            self.0.iter().for_each(|line| visit(line));
        }
    }
}
