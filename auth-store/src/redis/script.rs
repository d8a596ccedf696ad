//! The scripts, each with its digest.

use auth_core::session::{Listing, RevocationMark};
use redis::{Cmd, Script, cmd};

use super::millis;
use super::row::mark_text;

/// The text of a script: the part of all scripts, the part of scripts that reach all keys, and its
/// own.
macro_rules! code {
    ($own:literal) => {
        Code::new(concat!(
            include_str!("scripts/head.lua"),
            include_str!("scripts/whole.lua"),
            include_str!($own)
        ))
    };
}

pub(super) struct Code {
    text: &'static str,
    digest: String,
}

impl Code {
    fn new(text: &'static str) -> Self {
        let digest = Script::new(text).get_hash().to_owned();
        Self { text, digest }
    }

    /// Creates a call of this script.
    pub(super) fn call(&self) -> Call<'_> {
        Call {
            code: self,
            keys: Vec::new(),
            args: Vec::new(),
        }
    }
}

/// A script with its arguments.
#[must_use]
pub(super) struct Call<'a> {
    code: &'a Code,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Call<'_> {
    pub(super) fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn number(self, number: impl ToString) -> Self {
        self.arg(number.to_string())
    }

    /// The duration of a revocation's listing, as two arguments.
    pub(super) fn listing(self, listing: &Listing) -> Self {
        self.number(millis(listing.lifetime))
            .number(millis(listing.margin))
    }

    pub(super) fn mark(self, mark: &RevocationMark) -> Self {
        self.arg(mark_text(mark))
    }

    /// The usual form, by the digest of a script that the server knows.
    pub(super) fn by_digest(&self) -> Cmd {
        self.command("EVALSHA", &self.code.digest)
    }

    /// The form with the text, which the server keeps: after a restart, a failover or SCRIPT FLUSH.
    pub(super) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.code.text)
    }

    fn command(&self, name: &'static str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command
            .arg(script)
            .arg(self.keys.len())
            .arg(&self.keys)
            .arg(&self.args);
        command
    }
}

pub(super) struct Scripts {
    pub(super) advance: Code,
    pub(super) append: Code,
    pub(super) confirm: Code,
    pub(super) end_all: Code,
    pub(super) heal: Code,
    pub(super) insert: Code,
    pub(super) lifetime: Code,
    pub(super) list: Code,
    pub(super) load: Code,
    pub(super) load_keys: Code,
    pub(super) look: Code,
    pub(super) move_row: Code,
    pub(super) peek: Code,
    pub(super) plant: Code,
    pub(super) publish: Code,
    pub(super) raise: Code,
    pub(super) read: Code,
    pub(super) reserve: Code,
    pub(super) revoke: Code,
    pub(super) save_keys: Code,
    pub(super) survey: Code,
    pub(super) sweep: Code,
    pub(super) trim: Code,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            advance: code!("scripts/advance.lua"),
            append: code!("scripts/append.lua"),
            confirm: code!("scripts/confirm.lua"),
            end_all: code!("scripts/end_all.lua"),
            heal: code!("scripts/heal.lua"),
            insert: code!("scripts/insert.lua"),
            lifetime: code!("scripts/lifetime.lua"),
            list: code!("scripts/list.lua"),
            load: code!("scripts/load.lua"),
            load_keys: code!("scripts/load_keys.lua"),
            look: code!("scripts/look.lua"),
            move_row: code!("scripts/move.lua"),
            peek: code!("scripts/peek.lua"),
            plant: code!("scripts/plant.lua"),
            publish: code!("scripts/publish.lua"),
            raise: code!("scripts/raise.lua"),
            read: code!("scripts/read.lua"),
            reserve: code!("scripts/reserve.lua"),
            revoke: code!("scripts/revoke.lua"),
            save_keys: code!("scripts/save_keys.lua"),
            survey: code!("scripts/survey.lua"),
            sweep: code!("scripts/sweep.lua"),
            trim: code!("scripts/trim.lua"),
        }
    }
}
