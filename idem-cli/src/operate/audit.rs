//! The event of a decision, on stderr.

use std::{
    env,
    io::{self, IsTerminal},
};

use tracing_subscriber::EnvFilter;

/// Shows the target `idem::audit`, and whatever `RUST_LOG` asks for beside it.
pub(crate) fn show() {
    let filter = EnvFilter::builder().parse_lossy(env::var("RUST_LOG").unwrap_or_default());
    let filter = match "idem::audit=info".parse() {
        Ok(audit) => filter.add_directive(audit),
        Err(_) => filter,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}
