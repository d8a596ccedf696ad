//! Tests for both example apps: each is started as a child process, generates its own keys, and
//! publishes their public halves.

mod app;
pub mod attacks;
pub mod minimal;
pub mod promises;

pub use app::App;

/// Generates the tests of the example app whose program is `$program`.
#[macro_export]
macro_rules! tests_of {
    ($program:expr) => {
        #[test]
        fn f11_the_public_keys_are_served_for_caching_and_outlive_a_restart() {
            $crate::promises::public_keys_are_served_and_outlive_a_restart($program);
        }

        #[test]
        fn it_says_that_it_lives_and_that_it_is_ready_and_shows_no_metrics_unasked() {
            $crate::promises::health_is_told_and_metrics_are_not($program);
        }

        #[test]
        fn l03_tls_on_serves_https_and_nothing_in_the_clear() {
            $crate::promises::tls_on_serves_https_and_nothing_in_the_clear($program);
        }

        #[cfg(unix)]
        #[test]
        fn the_keys_are_in_a_file_that_is_the_owners_alone() {
            $crate::promises::the_file_of_keys_is_the_owners_alone($program);
        }

        #[test]
        fn g12_the_app_answers_the_table_of_authorization_fields() {
            $crate::attacks::table_of_authorization_fields($program);
        }

        #[test]
        fn g12_the_app_answers_the_table_of_cookies() {
            $crate::attacks::table_of_cookies($program);
        }

        #[test]
        fn g12_the_app_answers_the_table_of_claims() {
            $crate::attacks::table_of_claims($program);
        }
    };
}
