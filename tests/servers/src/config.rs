//! What a server is started with.

use std::fmt::Write;
use std::path::Path;

/// Everything about a server that is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) sentinel: bool,
    pub(crate) directives: Vec<(String, String)>,
    /// Files to find in its directory.
    pub(crate) files: Vec<(&'static str, String)>,
}

impl Plan {
    /// A server with its own defaults.
    pub(crate) fn server(port: u16) -> Self {
        Self::new(port, false).with(&[
            ("save", ""),
            // Without disks the first acknowledgement may come too early to be seen, and the next
            // one comes a second later. The file does not outlive the sync: a server that saves
            // nothing starts empty.
            ("repl-diskless-sync", "no"),
            ("rdb-del-sync-files", "yes"),
            // For those who turn it on: the default is to wait 5 s for other replicas.
            ("repl-diskless-sync-delay", "0"),
            // How fast a server notices what happened meanwhile: the end of a full sync.
            ("hz", "50"),
        ])
    }

    /// A sentinel.
    pub(crate) fn sentinel(port: u16) -> Self {
        Self::new(port, true)
    }

    fn new(port: u16, sentinel: bool) -> Self {
        Self {
            port,
            sentinel,
            directives: Vec::new(),
            files: Vec::new(),
        }
        .with(&[
            ("bind", "127.0.0.1"),
            ("protected-mode", "no"),
            ("daemonize", "no"),
            ("loglevel", "notice"),
        ])
    }

    /// With more directives. What comes later wins.
    pub(crate) fn with(mut self, directives: &[(&str, &str)]) -> Self {
        for (name, value) in directives {
            self.directives.push(((*name).into(), (*value).into()));
        }
        self
    }

    /// The value of a directive.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut all = self.directives.iter().rev();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The configuration file.
    pub(crate) fn render(&self, dir: &Path) -> String {
        let path = |name: &str| dir.join(name).display().to_string();
        let mut own = vec![
            ("port", self.port.to_string()),
            ("dir", dir.display().to_string()),
            ("logfile", path(LOG)),
        ];
        if !self.sentinel {
            own.push(("unixsocket", path(SOCKET)));
        }
        let mut file = String::new();
        for (name, value) in own {
            writeln!(file, "{name} {value:?}").unwrap();
        }
        for (name, value) in &self.directives {
            // A value may be a list of words: only the empty one needs its quotes.
            let value = if value.is_empty() { "\"\"" } else { value };
            writeln!(file, "{name} {value}").unwrap();
        }
        file
    }
}

/// The log's file in the server's directory.
pub(crate) const LOG: &str = "redis.log";
/// The unix socket in the server's directory.
pub(crate) const SOCKET: &str = "redis.sock";
/// The configuration's file in the server's directory.
pub(crate) const CONFIG: &str = "redis.conf";
