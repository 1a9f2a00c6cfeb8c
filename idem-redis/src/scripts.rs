//! The Lua that runs at the server: one script for each verb, each one atomic step with one write.

use std::sync::LazyLock;

use redis::Cmd;

/// A script and the name that a server knows it by.
pub(crate) struct Script {
    text: &'static str,
    hash: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)+) => {
        $(pub(crate) static $name: Script = {
            const TEXT: &str = concat!($(include_str!(concat!("scripts/", $file, ".lua"))),+);
            Script {
                text: TEXT,
                hash: LazyLock::new(|| redis::Script::new(TEXT).get_hash().to_owned()),
            }
        };)+
    };
}

// What nearly every call does stands before the layout's functions: Lua makes
// each of them anew for every call that comes so far.
scripts! {
    CLAIM = "claim_fresh" "layout" "claim";
    CLAIM_EITHER = "either_fresh" "layout" "either_open" "claim" "either_close";
    RENEW = "layout" "renew";
    CHECKPOINT = "layout" "checkpoint";
    COMPLETE = "complete_first" "layout" "complete";
    RELEASE = "layout" "release";
    RESOLVE = "layout" "resolve";
    INSPECT = "inspect";
    SPEND = "spend";
    PROBE = "probe";
}

/// How a script is named in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By its hash: what nearly every call does.
    Hash,
    /// By its text: when the server does not know it (it is new, was restarted,
    /// took over from another, or was told to forget). It knows it from then on.
    Text,
}

impl Script {
    /// The start of a call with one key, or two, with room for `arguments` of `bytes` in all.
    pub(crate) fn call(
        &self,
        by: By,
        key: &str,
        another: Option<&str>,
        arguments: usize,
        bytes: usize,
    ) -> Cmd {
        let (command, name) = match by {
            By::Hash => ("EVALSHA", self.hash.as_str()),
            By::Text => ("EVAL", self.text),
        };
        let keys = key.len() + another.map_or(0, str::len);
        let own = command.len() + name.len() + 1 + keys;
        let mut call = Cmd::with_capacity(5 + arguments, own + bytes);
        call.arg(command).arg(name);
        match another {
            None => call.arg(1).arg(key),
            Some(another) => call.arg(2).arg(key).arg(another),
        };
        call
    }
}
