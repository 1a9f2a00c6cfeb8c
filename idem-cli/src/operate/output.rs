//! Stdout, and texts for people.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;

use super::OperateError;

/// Who closes stdout early (`| head`) has read enough.
pub(crate) fn print(text: &str) -> Result<(), OperateError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(OperateError::Output),
    }
}

/// One JSON document.
pub(crate) fn print_json(document: &impl Serialize) -> Result<(), OperateError> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| OperateError::Output(error.into()))?;
    print(&format!("{text}\n"))
}

/// `23h 59m`: its two largest units.
pub(crate) fn duration(duration: Duration) -> String {
    let whole = match duration.as_secs() {
        0 => Duration::from_millis(milliseconds(duration)),
        seconds => Duration::from_secs(seconds),
    };
    let all = humantime::format_duration(whole).to_string();
    let units: Vec<&str> = all.split(' ').take(2).collect();
    units.join(" ")
}

/// For JSON.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `1 slot`, `2 slots`.
pub(crate) fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Text from a store, for a terminal: nothing in it moves the cursor.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(character),
            control if control.is_control() => out.extend(control.escape_default()),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_two_units_at_the_most() {
        for (milliseconds, shown) in [
            (0, "0s"),
            (7, "7ms"),
            (1999, "1s"),
            (86_399_999, "23h 59m"),
            (90_061_000, "1day 1h"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), shown);
        }
    }

    #[test]
    fn a_recorded_text_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\nç"), "a\\u{1b}[2Jb\\r\nç");
    }
}
