//! Names that go into the text of statements.

/// The longest name of a table or schema: what is derived from it must fit into
/// PostgreSQL's 63 bytes.
const LONGEST: usize = 40;

/// Checks a name that becomes a part of statements, where it cannot be a parameter.
///
/// # Errors
/// [`NameError`] unless it is a plain lower-case identifier.
pub fn checked_name(name: &str) -> Result<&str, NameError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = name
        .bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit());
    if starts && name.len() <= LONGEST && name.bytes().all(plain) {
        Ok(name)
    } else {
        Err(NameError {
            name: name.to_owned(),
        })
    }
}

/// A name that cannot be a table's or a schema's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot be the name of a table or schema: use 1 to 40 lower-case letters, digits and underscores, not beginning with a digit"
)]
pub struct NameError {
    /// The name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_identifiers_get_into_a_statement() {
        for good in ["idem_slots", "_x", "a1", &"a".repeat(40)] {
            assert_eq!(checked_name(good), Ok(good));
        }
        for bad in [
            "",
            "1a",
            "A",
            "a-b",
            "a\"b",
            "a;b",
            "a b",
            "ä",
            "a.b",
            &"a".repeat(41),
        ] {
            assert!(checked_name(bad).is_err(), "{bad}");
        }
    }
}
