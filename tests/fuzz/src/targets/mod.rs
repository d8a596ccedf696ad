//! The targets, and what must hold for any input of each.

mod challenge;
mod cookie;
mod header;
mod key_documents;
mod keys;
mod refresh;
mod row;
mod set_cookie;
mod token;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, in `tests/run fuzz --target` and in `fuzz/`.
    pub name: &'static str,
    /// Tries one input. Panics if something is wrong.
    pub run: fn(&[u8]),
    /// What to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "header",
        run: header::header,
        seeds: header::seeds,
    },
    Target {
        name: "cookie",
        run: cookie::cookie,
        seeds: cookie::seeds,
    },
    Target {
        name: "token",
        run: token::raw,
        seeds: token::raw_seeds,
    },
    Target {
        name: "token_edits",
        run: token::edits,
        seeds: token::edit_seeds,
    },
    Target {
        name: "token_claims",
        run: token::claims,
        seeds: token::claim_seeds,
    },
    Target {
        name: "token_header",
        run: token::header,
        seeds: token::header_seeds,
    },
    Target {
        name: "jwk",
        run: keys::jwk,
        seeds: keys::jwk_seeds,
    },
    Target {
        name: "jwks",
        run: keys::jwks,
        seeds: keys::jwks_seeds,
    },
    Target {
        name: "metadata",
        run: keys::metadata,
        seeds: keys::metadata_seeds,
    },
    Target {
        name: "refresh_token",
        run: refresh::token,
        seeds: refresh::token_seeds,
    },
    Target {
        name: "refresh_body",
        run: refresh::body,
        seeds: refresh::body_seeds,
    },
    Target {
        name: "set_cookie",
        run: set_cookie::set_cookie,
        seeds: set_cookie::seeds,
    },
    Target {
        name: "challenge",
        run: challenge::challenge,
        seeds: challenge::seeds,
    },
    Target {
        name: "row_details",
        run: row::details,
        seeds: row::detail_seeds,
    },
    Target {
        name: "row_redis",
        run: row::redis,
        seeds: row::redis_seeds,
    },
    Target {
        name: "row_sql",
        run: row::sql,
        seeds: row::sql_seeds,
    },
    Target {
        name: "sealed_keys",
        run: key_documents::sealed,
        seeds: key_documents::sealed_seeds,
    },
    Target {
        name: "key_document",
        run: key_documents::document,
        seeds: key_documents::document_seeds,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
