//! The scripts, each with the digest by which the server knows it.

use auth_core::session::{Listing, RevocationMark};
use redis::{Cmd, Script, cmd};

use super::millis;
use super::row::mark_text;

/// A script's text: what all share, what is shared where all keys are within reach, and its own.
macro_rules! code {
    ($own:literal) => {
        Code::new(concat!(
            include_str!("scripts/common.lua"),
            include_str!("scripts/single/common.lua"),
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

    /// A call of this script.
    pub(super) fn call(&self) -> Call<'_> {
        Call {
            code: self,
            keys: Vec::new(),
            args: Vec::new(),
        }
    }
}

/// A script with what it is called with.
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

    /// The usual form: the server has the text already.
    pub(super) fn by_digest(&self) -> Cmd {
        self.command("EVALSHA", &self.code.digest)
    }

    /// With the text, which the server keeps: after a restart, a failover or SCRIPT FLUSH.
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
            confirm: code!("scripts/cluster/insert_confirm.lua"),
            end_all: code!("scripts/single/end_all.lua"),
            heal: code!("scripts/raise_subject_version.lua"),
            insert: code!("scripts/single/insert.lua"),
            lifetime: code!("scripts/raise_access_lifetime.lua"),
            list: code!("scripts/single/list.lua"),
            load: code!("scripts/single/load.lua"),
            load_keys: code!("scripts/load_keys.lua"),
            look: code!("scripts/follow.lua"),
            move_row: code!("scripts/cluster/keep_row.lua"),
            peek: code!("scripts/subject_version.lua"),
            plant: code!("scripts/cluster/insert_row.lua"),
            publish: code!("scripts/cluster/append_listing.lua"),
            raise: code!("scripts/cluster/end_all.lua"),
            read: code!("scripts/cluster/load_row.lua"),
            reserve: code!("scripts/cluster/insert_reserve.lua"),
            revoke: code!("scripts/revoke.lua"),
            save_keys: code!("scripts/save_keys.lua"),
            survey: code!("scripts/cluster/load_subject.lua"),
            sweep: code!("scripts/purge_rows.lua"),
            trim: code!("scripts/purge_feed.lua"),
        }
    }
}
