//! Tables in Markdown, and how numbers look in them.

use std::{fmt, time::Duration};

/// What is not known, or makes no sense.
const NONE: &str = "–";

#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: usize,
    lines: Vec<String>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let mut table = Self {
            columns: head.len(),
            lines: Vec::new(),
        };
        table.push(head.iter().copied());
        table.push(head.iter().map(|_| "---"));
        table
    }

    /// A row that is too short is filled up, one that is too long is cut.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut line = String::from("|");
        let mut cells = cells.into_iter();
        for _ in 0..self.columns {
            let cell = cells.next();
            let cell = cell.as_ref().map_or(NONE, AsRef::as_ref);
            line.push(' ');
            line.push_str(&cell.replace('|', "\\|"));
            line.push_str(" |");
        }
        self.lines.push(line);
    }

    /// Whether there is something in it.
    pub(crate) fn has_rows(&self) -> bool {
        self.lines.len() > 2
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

/// What is known, in its form.
pub(crate) fn known<T>(value: Option<T>, form: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), form)
}

/// "89,806"
pub(crate) fn whole(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number <= -0.5 {
        text.insert(0, '-');
    }
    text
}

/// "0.55", or "0.0031" of what is small.
pub(crate) fn ratio(ratio: f64) -> String {
    if ratio < 0.095 {
        format!("{ratio:.3}")
    } else {
        format!("{ratio:.2}")
    }
}

/// "1,437 µs"
pub(crate) fn micros(time: Duration) -> String {
    format!("{} µs", whole(time.as_secs_f64() * 1e6))
}

/// "12 %"
pub(crate) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// "0.41"
pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new(&["what", "a second"]);
        assert!(!table.has_rows());
        table.push(["idem, `a|b`", "1,000"]);
        table.push(["short"]);
        table.push(["long", "1", "2"]);
        assert!(table.has_rows());
        assert_eq!(
            table.to_string(),
            "| what | a second |\n| --- | --- |\n| idem, `a\\|b` | 1,000 |\n| short | – |\n| long | 1 |"
        );
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(whole(0.0), "0");
        assert_eq!(whole(999.4), "999");
        assert_eq!(whole(1234.5), "1,234");
        assert_eq!(whole(1_234_567.0), "1,234,567");
        assert_eq!(whole(-1234.0), "-1,234");
        assert_eq!(whole(-0.2), "0");
        assert_eq!(ratio(1.0), "1.00");
        assert_eq!(ratio(0.0471), "0.047");
        assert_eq!(ratio(0.096), "0.10");
        assert_eq!(micros(Duration::from_nanos(1_437_499)), "1,437 µs");
        assert_eq!(percent(0.125), "12 %");
        assert_eq!(known(None, seconds), "–");
        assert_eq!(known(Some(0.414), seconds), "0.41");
    }
}
