//! The minimal examples: login by a form and by a phone, and logout by a form.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "content-type: application/json\r\n";
/// A form of the app's own page, or a link on it.
const NAVIGATION: &str = "sec-fetch-site: same-origin\r\nsec-fetch-mode: navigate\r\n\
                          sec-fetch-dest: document\r\norigin: http://localhost:3000\r\n";

/// A running minimal example; ends when dropped.
struct Minimal {
    process: Child,
    address: String,
}

/// A response in parts.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Minimal {
    /// Starts `program` with its database in `folder`.
    fn start(program: &str, folder: &Path) -> Self {
        // The program takes the port over from this listener.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut process = Command::new(program)
            .env("ADDRESS", &address)
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(&address).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "{program} has ended");
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, address }
    }

    fn ask(&self, method: &str, path: &str, fields: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:3000\r\nconnection: close\r\n\
             content-length: {length}\r\n{fields}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Logs in by the form of the login page.
    fn log_in(&self, name: &str, password: &str) -> Reply {
        let body = format!("username={name}&password={password}");
        self.ask("POST", "/login", &format!("{NAVIGATION}{FORM}"), &body)
    }
}

impl Drop for Minimal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Reply {
    fn field<'r>(&'r self, name: &'r str) -> Option<&'r str> {
        self.fields(name).next()
    }

    fn fields<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(move |(of, _)| of.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The `Cookie` field with the cookies that this response sets.
    fn cookies(&self) -> String {
        let pairs = self.fields("set-cookie").map(|line| line.split(';').next());
        let pairs: Vec<_> = pairs.map(Option::unwrap).collect();
        assert_eq!(pairs.len(), 2, "{}", self.head);
        format!("cookie: {}\r\n", pairs.join("; "))
    }

    #[track_caller]
    fn shows(&self, path: &str) {
        assert_eq!((self.status, self.field("location")), (303, Some(path)));
    }
}

/// Logs in to the minimal example by form and by phone, and out by form.
///
/// # Panics
/// If the program does not start, or a response is not the expected one.
pub fn users_log_in_and_out(program: &str) {
    let folder = tempfile::tempdir().unwrap();
    let app = Minimal::start(program, folder.path());

    // A visitor is led to the login page. An unknown name is refused like a wrong password.
    app.ask("GET", "/", NAVIGATION, "").shows("/login");
    assert!(app.ask("GET", "/login", "", "").body.contains("<form"));
    for (name, password) in [("alice", "wrong"), ("nobody", "wonderland")] {
        let refused = app.log_in(name, password);
        refused.shows("/login?wrong");
        assert_eq!(refused.field("set-cookie"), None);
    }

    // A browser gets cookies, which pages and API accept.
    let login = app.log_in("alice", "wonderland");
    login.shows("/");
    let cookies = login.cookies();
    let home = app.ask("GET", "/", &format!("{NAVIGATION}{cookies}"), "");
    assert!(home.body.contains("Log out"), "{}", home.body);
    let me = app.ask("GET", "/me", &cookies, "");
    assert_eq!((me.status, me.body.as_str()), (200, "alice of acme\n"));

    // A phone gets its tokens in the body.
    let credentials = r#"{"username":"alice","password":"wonderland"}"#;
    let phone = app.ask("POST", "/login", JSON, credentials);
    assert_eq!((phone.status, phone.field("set-cookie")), (200, None));
    let (_, token) = phone.body.split_once(r#""access_token":""#).unwrap();
    let (token, _) = token.split_once('"').unwrap();
    let bearer = format!("authorization: Bearer {token}\r\n");
    let me = app.ask("GET", "/me", &bearer, "");
    assert_eq!((me.status, me.body.as_str()), (200, "alice of acme\n"));

    // A logout ends one session at once.
    let logout = format!("{NAVIGATION}{FORM}{cookies}");
    let logout = app.ask("POST", "/auth/logout", &logout, "");
    logout.shows("/login");
    assert_eq!(logout.fields("set-cookie").count(), 2);
    assert_eq!(app.ask("GET", "/me", &cookies, "").status, 401);
    assert_eq!(app.ask("GET", "/me", &bearer, "").status, 200);
}

/// Checks that the README shows `program`, except its module documentation.
///
/// # Panics
/// If it does not.
pub fn readme_shows(program: &str) {
    let readme = include_str!("../../../README.md");
    let (_, code) = program.split_once("\n\n").unwrap();
    assert!(readme.contains(code), "the README shows another program");
}
