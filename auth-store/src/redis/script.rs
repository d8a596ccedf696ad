//! The scripts, each with its digest.

use auth_core::store::{Listing, RevocationMark};
use redis::{Cmd, Script, cmd};

use super::millis;
use super::row::{FOREVER, mark_text};
use crate::StoreOptions;

/// The text of a script: the part of all scripts, then these files.
macro_rules! code {
    ($($file:literal),+) => {
        Code {
            own: Text::new(concat!(
                include_str!("scripts/common.lua"),
                $(include_str!(concat!("scripts/", $file))),+
            )),
            #[cfg(feature = "testing")]
            driven: Text::new(concat!(
                include_str!("scripts/common.lua"),
                include_str!("scripts/driven.lua"),
                $(include_str!(concat!("scripts/", $file))),+
            )),
        }
    };
}

pub(super) struct Code {
    own: Text,
    /// The same by the clock of a test.
    #[cfg(feature = "testing")]
    driven: Text,
}

struct Text {
    text: &'static str,
    digest: String,
}

impl Text {
    fn new(text: &'static str) -> Self {
        let digest = Script::new(text).get_hash().to_owned();
        Self { text, digest }
    }
}

impl Code {
    /// Creates a call of this script by the clock of `options`.
    pub(super) fn call(&self, options: &StoreOptions) -> Call<'_> {
        Call {
            code: self,
            keys: Vec::new(),
            args: Vec::new(),
            driven_now: options.driven_now(),
        }
    }
}

/// A script with its keys and arguments.
#[must_use]
pub(super) struct Call<'a> {
    code: &'a Code,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
    driven_now: Option<i64>,
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
        self.command("EVALSHA", &self.text().digest)
    }

    /// The form with the text, which the server keeps: after a restart, a failover or SCRIPT FLUSH.
    pub(super) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.text().text)
    }

    fn text(&self) -> &Text {
        #[cfg(feature = "testing")]
        if self.driven_now.is_some() {
            return &self.code.driven;
        }
        &self.code.own
    }

    fn command(&self, name: &'static str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command
            .arg(script)
            .arg(self.keys.len())
            .arg(&self.keys)
            .arg(&self.args);
        if let Some(now) = self.driven_now {
            command.arg(now.clamp(-FOREVER, FOREVER));
        }
        command
    }
}

/// The scripts, named after the methods that run them.
pub(super) struct Scripts {
    pub(super) advance: Code,
    pub(super) append: Code,
    pub(super) end_all: Code,
    pub(super) follow: Code,
    pub(super) insert: Code,
    pub(super) list: Code,
    pub(super) load: Code,
    pub(super) load_keys: Code,
    pub(super) purge_feed: Code,
    pub(super) purge_rows: Code,
    pub(super) raise_access_lifetime: Code,
    pub(super) raise_subject_version: Code,
    pub(super) revoke: Code,
    pub(super) save_keys: Code,
    pub(super) subject_version: Code,
    #[cfg(feature = "redis-cluster")]
    pub(super) cluster: ClusterScripts,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            advance: code!("advance.lua"),
            append: code!("append.lua"),
            end_all: code!("single/common.lua", "single/end_all.lua"),
            follow: code!("follow.lua"),
            insert: code!("single/common.lua", "single/insert.lua"),
            list: code!("single/common.lua", "single/list.lua"),
            load: code!("single/common.lua", "single/load.lua"),
            load_keys: code!("load_keys.lua"),
            purge_feed: code!("purge_feed.lua"),
            purge_rows: code!("single/common.lua", "purge_rows.lua"),
            raise_access_lifetime: code!("raise_access_lifetime.lua"),
            raise_subject_version: code!("raise_subject_version.lua"),
            revoke: code!("single/common.lua", "revoke.lua"),
            save_keys: code!("save_keys.lua"),
            subject_version: code!("subject_version.lua"),
            #[cfg(feature = "redis-cluster")]
            cluster: ClusterScripts::new(),
        }
    }
}

/// The steps of methods that take several in a cluster.
#[cfg(feature = "redis-cluster")]
pub(super) struct ClusterScripts {
    pub(super) append_listing: Code,
    pub(super) end_all: Code,
    pub(super) insert_confirm: Code,
    pub(super) insert_reserve: Code,
    pub(super) insert_row: Code,
    pub(super) keep_row: Code,
    pub(super) load_row: Code,
    pub(super) load_subject: Code,
}

#[cfg(feature = "redis-cluster")]
impl ClusterScripts {
    fn new() -> Self {
        Self {
            append_listing: code!("cluster/append_listing.lua"),
            end_all: code!("cluster/end_all.lua"),
            insert_confirm: code!("cluster/insert_confirm.lua"),
            insert_reserve: code!("cluster/insert_reserve.lua"),
            insert_row: code!("cluster/insert_row.lua"),
            keep_row: code!("cluster/keep_row.lua"),
            load_row: code!("cluster/load_row.lua"),
            load_subject: code!("cluster/load_subject.lua"),
        }
    }
}
