//! The question before a decision.

use std::io::{self, IsTerminal, Write};

use super::OperateError;

/// Whether somebody can be asked: what they type is read from a terminal, and they see the question.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Anything but a yes is a no.
pub(crate) fn ask(question: &str) -> Result<bool, OperateError> {
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ")
        .and_then(|()| io::stderr().flush())
        .and_then(|()| io::stdin().read_line(&mut answer));
    asked.map_err(OperateError::Terminal)?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(["y", "yes"].contains(&answer.as_str()))
}
