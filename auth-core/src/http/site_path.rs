//! Paths of this site, as targets of a redirect.

/// Whether `path` is a path of this site, perhaps with a query: as a `Location`, it leads to no
/// other host. Browsers take `//host` for another one, and a backslash for a slash.
pub(crate) fn is_site_path(path: &str) -> bool {
    let visible = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    visible && path.starts_with('/') && !path.starts_with("//")
}
