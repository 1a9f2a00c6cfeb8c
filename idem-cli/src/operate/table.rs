//! Columns that are aligned.

use console::measure_text_width;

/// Rows of cells; the last column is not padded.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn with_head<const N: usize>(head: [&str; N]) -> Self {
        Self(vec![Vec::from(head.map(str::to_owned))])
    }

    /// Of names and what they are.
    pub(crate) fn of_facts() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(Vec::from(cells));
    }

    pub(crate) fn fact(&mut self, name: &str, what: impl Into<String>) {
        self.row([name.to_owned(), what.into()]);
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| measure_text_width(cell))
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.0 {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let padding = width + 2 - measure_text_width(cell).min(*width);
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::with_head(["A", "BB", "C"]);
        table.row(["äöü".to_owned(), String::new(), "x".to_owned()]);
        table.row(["1".to_owned(), "22".to_owned(), String::new()]);
        assert_eq!(table.render(), "A    BB  C\näöü      x\n1    22\n");
    }
}
