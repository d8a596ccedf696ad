//! What three engines showed of each promise: `tests/browser` runs before these tests, and
//! `AUTH_TEST_BROWSER_LOG` names what it printed.

use std::fs;

use auth_tests::servers::server;

/// Every engine has shown on both frameworks what the browser tests named `id` are about.
fn shown(id: &str) {
    let Some(log) = server("AUTH_TEST_BROWSER_LOG") else {
        return;
    };
    let log = fs::read_to_string(log).unwrap();
    for engine in ["chromium", "firefox", "webkit"] {
        for framework in ["axum", "actix"] {
            let who = format!(" {engine} {framework} ");
            let lines: Vec<&str> = log
                .lines()
                .filter(|line| line.contains(&who) && line.contains(&format!(": {id} ")))
                .collect();
            assert!(!lines.is_empty(), "{id} was not tried in{who}");
            for line in lines {
                assert!(line.starts_with("ok "), "{line}");
            }
        }
    }
}

#[test]
fn h03_loads_that_another_site_stops_half_way_sign_nobody_out() {
    shown("H03");
}

#[test]
fn h04_a_form_that_was_filled_in_for_too_long_arrives_once() {
    shown("H04");
}

#[test]
fn h05_links_from_other_sites_find_their_visitor_signed_in() {
    shown("H05");
}

#[test]
fn l01_a_session_lives_the_same_life_in_every_engine() {
    shown("L01");
}

#[test]
fn l02_no_request_of_an_attacker_does_anything_in_any_engine() {
    shown("L02");
}

#[test]
fn l03_a_login_on_localhost_is_kept_or_explained() {
    shown("L03");
}
