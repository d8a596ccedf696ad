//! Names of devices, by their user agent.

use crate::base::client::ClientInfo;

/// Marks of programs and their names. The order matters: every browser also names its ancestors.
const PROGRAMS: [(&str, &str); 12] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("okhttp/", "Android app"),
    ("CFNetwork/", "Apple app"),
    ("python-requests/", "Python"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
];

impl ClientInfo {
    /// The device name for the list of devices, such as "Firefox on Windows". `None` if the user
    /// agent is missing or unknown.
    pub(crate) fn device_name(&self) -> Option<String> {
        let user_agent = self.user_agent()?;
        let program = named(&PROGRAMS, user_agent);
        let system = named(&SYSTEMS, user_agent);
        match (program, system) {
            (Some(program), Some(system)) => Some(format!("{program} on {system}")),
            (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
            (None, None) => None,
        }
    }
}

fn named(table: &[(&str, &'static str)], user_agent: &str) -> Option<&'static str> {
    let row = table.iter().find(|(mark, _)| user_agent.contains(mark))?;
    Some(row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_called_what_people_call_them() {
        let name = |user_agent: &str| ClientInfo::new().with_user_agent(user_agent).device_name();
        for (user_agent, known) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            ("curl/8.5.0", "curl"),
            ("okhttp/4.12.0", "Android app"),
        ] {
            assert_eq!(name(user_agent).as_deref(), Some(known), "{user_agent}");
        }
        assert_eq!(name("Mystery/1.0"), None);
        assert_eq!(ClientInfo::new().device_name(), None);
    }
}
