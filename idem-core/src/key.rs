//! The idempotency key: the client's name for one intent.

use std::fmt;

/// The longest idempotency key, in bytes, after a quoted string is unquoted.
pub const MAX_KEY_BYTES: usize = 255;

/// A client's name for one intent: 1 to [`MAX_KEY_BYTES`] bytes of printable ASCII.
///
/// A key is opaque. It is hashed into a [`Slot`](crate::Slot) before it gets
/// anywhere near a store, and its `Debug` shows only its length, so that it
/// does not end up in a log by accident.
///
/// ```
/// use idem_core::IdempotencyKey;
///
/// // Both spellings of the header mean the same key.
/// let bare = IdempotencyKey::from_header(b"8e03978e-40d5")?;
/// let quoted = IdempotencyKey::from_header(b"\"8e03978e-40d5\"")?;
/// assert_eq!(bare, quoted);
/// # Ok::<(), idem_core::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// Takes `text` literally: quotes are part of the key.
    ///
    /// # Errors
    /// [`KeyError`] when the text is empty, too long or not printable ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        check(text.as_bytes())?;
        Ok(Self(text.into_boxed_str()))
    }

    /// Reads one header line: a structured-field string
    /// ([RFC 8941 §3.3.3](https://www.rfc-editor.org/rfc/rfc8941#section-3.3.3), as
    /// draft-ietf-httpapi-idempotency-key-header asks for) or the bare text that
    /// most clients send. White space around the value is ignored.
    ///
    /// # Errors
    /// [`KeyError`] says which rule the line breaks.
    pub fn from_header(line: &[u8]) -> Result<Self, KeyError> {
        let line = line.trim_ascii();
        match line.strip_prefix(b"\"") {
            Some(rest) => unquote(rest).and_then(Self::new),
            None => {
                check(line)?;
                // `check` lets only ASCII through.
                Self::new(String::from_utf8_lossy(line))
            }
        }
    }

    /// Reads every line of the key's header. Lines that mean the same key count as one.
    ///
    /// Returns `None` when there is no line.
    ///
    /// # Errors
    /// [`KeyError::Conflicting`] when two lines mean different keys, and whatever
    /// [`from_header`](Self::from_header) finds wrong with one of them.
    pub fn from_headers<'a>(
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, KeyError> {
        let mut found: Option<Self> = None;
        for line in lines {
            let key = Self::from_header(line)?;
            match &found {
                Some(first) if *first != key => return Err(KeyError::Conflicting),
                Some(_) => {}
                None => found = Some(key),
            }
        }
        Ok(found)
    }

    /// A key that nobody has: 128 random bits in hexadecimal.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }

    /// The key's text. Whoever asks for it takes care that it is not logged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey(<{} bytes>)", self.0.len())
    }
}

/// What is wrong with an idempotency key. The messages are safe to send to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key has no bytes.
    #[error("the idempotency key is empty; send 1 to {MAX_KEY_BYTES} printable ASCII characters")]
    Empty,
    /// The key is longer than [`MAX_KEY_BYTES`].
    #[error("the idempotency key is {length} bytes long; the limit is {MAX_KEY_BYTES}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A byte outside `0x20..=0x7E`.
    #[error(
        "the idempotency key has a character at byte {position} that is not printable ASCII; \
         a UUID is a good key"
    )]
    NotPrintable {
        /// Where it stands, counted from 0.
        position: usize,
    },
    /// The value starts with a quote but is no structured-field string.
    #[error(
        "the idempotency key starts with a quote but is not a valid quoted string ({reason}); \
         close the quote, or send the key without quotes"
    )]
    BadQuotedString {
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Two header lines with different keys.
    #[error("the idempotency key header was sent twice with different values; send one key")]
    Conflicting,
}

fn check(key: &[u8]) -> Result<(), KeyError> {
    if key.is_empty() {
        return Err(KeyError::Empty);
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(KeyError::TooLong { length: key.len() });
    }
    match key.iter().position(|byte| !is_printable(*byte)) {
        Some(position) => Err(KeyError::NotPrintable { position }),
        None => Ok(()),
    }
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e)
}

/// `rest` is what follows the opening quote.
fn unquote(rest: &[u8]) -> Result<String, KeyError> {
    let bad = |reason| Err(KeyError::BadQuotedString { reason });
    let mut key = String::with_capacity(rest.len());
    let mut bytes = rest.iter().copied().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'"' if bytes.next().is_none() => return Ok(key),
            b'"' => return bad("something follows the closing quote"),
            b'\\' => match bytes.next() {
                Some((_, escaped @ (b'"' | b'\\'))) => key.push(char::from(escaped)),
                Some(_) => return bad("a backslash may only escape a quote or a backslash"),
                None => return bad("it ends in a backslash"),
            },
            byte if is_printable(byte) => key.push(char::from(byte)),
            // The opening quote is byte 0.
            _ => {
                return Err(KeyError::NotPrintable {
                    position: position + 1,
                });
            }
        }
    }
    bad("the closing quote is missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<String, KeyError> {
        IdempotencyKey::from_header(line.as_bytes()).map(|key| key.as_str().to_owned())
    }

    #[test]
    fn a_key_of_255_bytes_is_taken_and_one_of_256_is_not() {
        assert!(parse(&"k".repeat(255)).is_ok());
        assert!(parse(&format!("\"{}\"", "k".repeat(255))).is_ok());
        assert_eq!(
            parse(&"k".repeat(256)),
            Err(KeyError::TooLong { length: 256 })
        );
        assert_eq!(
            parse(&format!("\"{}\"", "k".repeat(256))),
            Err(KeyError::TooLong { length: 256 })
        );
    }

    #[test]
    fn the_limit_counts_the_unquoted_key() {
        let quotes = "\\\"".repeat(255);
        assert_eq!(parse(&format!("\"{quotes}\"")), Ok("\"".repeat(255)));
    }

    #[test]
    fn empty_keys_are_refused_in_both_spellings() {
        for line in ["", "   ", "\"\""] {
            assert_eq!(parse(line), Err(KeyError::Empty), "{line:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_printable_ascii_are_refused_with_their_place() {
        assert_eq!(
            parse("ab\u{7f}"),
            Err(KeyError::NotPrintable { position: 2 })
        );
        assert_eq!(parse("a\tb"), Err(KeyError::NotPrintable { position: 1 }));
        assert_eq!(parse("clé"), Err(KeyError::NotPrintable { position: 2 }));
        assert_eq!(
            parse("\"clé\""),
            Err(KeyError::NotPrintable { position: 3 })
        );
    }

    #[test]
    fn a_broken_quoted_string_is_refused() {
        for line in ["\"", "\"abc", "\"a\\", "\"a\\n\"", "\"a\"b", "\"a\";p=1"] {
            assert!(
                matches!(parse(line), Err(KeyError::BadQuotedString { .. })),
                "{line:?}"
            );
        }
    }

    #[test]
    fn equal_lines_are_one_key_and_different_ones_conflict() {
        let lines = |lines: &'static [&'static str]| {
            IdempotencyKey::from_headers(lines.iter().map(|line| line.as_bytes()))
        };
        assert_eq!(lines(&[]), Ok(None));
        assert!(matches!(lines(&["a", "\"a\"", " a "]), Ok(Some(_))));
        assert_eq!(lines(&["a", "b"]), Err(KeyError::Conflicting));
        assert_eq!(lines(&["a", ""]), Err(KeyError::Empty));
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let key = IdempotencyKey::new("secret-key").unwrap();
        assert_eq!(format!("{key:?}"), "IdempotencyKey(<10 bytes>)");
    }

    proptest! {
        /// `sfv` is the oracle for quoted strings: what it takes as one plain string
        /// of legal length we take with the same meaning, and the other way round.
        #[test]
        fn quoted_strings_agree_with_the_structured_field_oracle(
            inner in prop::collection::vec(
                prop_oneof![Just(b'"'), Just(b'\\'), 0x1eu8..=0x80], 0..12)
        ) {
            let mut line = vec![b'"'];
            line.extend(inner);
            line.push(b'"');
            let theirs = sfv::Parser::new(&line).parse::<sfv::Item>().ok()
                .filter(|item| item.params.is_empty())
                .and_then(|item| match item.bare_item {
                    sfv::BareItem::String(text) => Some(text.as_str().to_owned()),
                    _ => None,
                })
                .filter(|text| !text.is_empty());
            let ours = IdempotencyKey::from_header(&line).ok().map(|key| key.as_str().to_owned());
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn no_input_panics(line in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(key) = IdempotencyKey::from_header(&line) {
                prop_assert!((1..=MAX_KEY_BYTES).contains(&key.as_str().len()));
            }
        }
    }
}
