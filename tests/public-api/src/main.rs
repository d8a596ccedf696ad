//! Prints the public API that a file of rustdoc's JSON describes, one item a line. Left out are
//! implementations that every type has, auto traits and derives.

use std::process::ExitCode;

use public_api::{Builder, Error};

/// The exit status if this toolchain's rustdoc writes JSON of another form, which is not stable.
const OTHER_FORMAT: u8 = 77;

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: public-api FILE.json");
        return ExitCode::from(2);
    };
    let listing = Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match listing {
        Ok(api) => {
            print!("{api}");
            ExitCode::SUCCESS
        }
        Err(Error::SerdeJsonError(error)) => {
            eprintln!("this toolchain writes another form of rustdoc's JSON: {error}");
            ExitCode::from(OTHER_FORMAT)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
