//! `1024`, `"64KiB"`, `"1MB"`.

use syn::{Error, Expr, Lit};

use super::literal::literal;

pub(crate) fn parse(value: &Expr) -> Result<usize, Error> {
    let bytes = match literal(value) {
        Some(Lit::Int(number)) => return number.base10_parse(),
        Some(Lit::Str(text)) => with_unit(&text.value()),
        _ => None,
    };
    bytes.ok_or_else(|| {
        Error::new_spanned(
            value,
            "this is not a size; write \"64KiB\", \"1MiB\", or a number of bytes",
        )
    })
}

fn with_unit(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "B" | "" => 1,
        "KB" | "kB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_and_without_units_are_read() {
        let size = |text| parse(&syn::parse_str(text).unwrap()).ok();
        assert_eq!(size("1024"), Some(1024));
        assert_eq!(size("\"1KiB\""), Some(1024));
        assert_eq!(size("\"2 MB\""), Some(2_000_000));
        for bad in [
            "\"1 mib\"",
            "\"KiB\"",
            "\"-1B\"",
            "\"99999999999GiB\"",
            "true",
        ] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
