//! Each target, as often as a few seconds allow, with the same inputs every time.

use std::collections::BTreeSet;

use auth_fuzz::{Limit, TARGETS, run, target};

fn holds(name: &str) {
    let target = target(name).unwrap();
    let run = run(target, 1, Limit::Executions(1500));
    if let Some((input, message)) = run.finding {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name}: {message}\n{hex}");
    }
    println!("{name}: {} executions", run.executions);
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                holds(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_here_and_has_a_program_for_libfuzzer() {
            let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, BTreeSet::from([$(stringify!($name)),*]));
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");
            let manifest = std::fs::read_to_string(format!("{folder}/Cargo.toml")).unwrap();
            for name in names {
                let source = format!("{folder}/fuzz_targets/{name}.rs");
                let source = std::fs::read_to_string(source).unwrap();
                assert!(source.contains(&format!("target({name:?})")), "{name}");
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            }
        }
    };
}

targets![
    challenge,
    cookie,
    header,
    jwk,
    jwks,
    key_document,
    metadata,
    refresh_body,
    refresh_token,
    row_details,
    row_redis,
    row_sql,
    sealed_keys,
    set_cookie,
    token,
    token_claims,
    token_edits,
    token_header,
];
