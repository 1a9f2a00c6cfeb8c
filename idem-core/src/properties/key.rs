//! A key is what its header means, or an error.

use crate::{IdempotencyKey, KeyError, MAX_KEY_BYTES};

/// `data` is the lines of the key's header.
pub fn key(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let mut each: Vec<Option<String>> = Vec::with_capacity(lines.len());
    for line in &lines {
        let read = IdempotencyKey::from_header(line);
        if let Ok(key) = &read {
            sound(key);
        }
        let read = read.ok().map(|key| key.as_str().to_owned());
        assert_eq!(read, obvious(line), "{}", line.escape_ascii());
        each.push(read);
    }
    match IdempotencyKey::from_headers(lines.iter().copied()) {
        Ok(key) => {
            let key = key.expect("there is a line").as_str().to_owned();
            assert!(each.iter().all(|line| line.as_ref() == Some(&key)));
        }
        // All before it agree, and it is good.
        Err(KeyError::Conflicting) => assert!(each.iter().flatten().count() >= 2),
        Err(_) => assert!(each.contains(&None)),
    }
}

/// In bounds, out of the log, and the same from every way to write it.
fn sound(key: &IdempotencyKey) {
    let text = key.as_str();
    assert!((1..=MAX_KEY_BYTES).contains(&text.len()));
    assert!(text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
    assert_eq!(
        format!("{key:?}"),
        format!("IdempotencyKey(<{} bytes>)", text.len())
    );
    let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    assert_eq!(
        IdempotencyKey::from_header(quoted.as_bytes()).as_ref(),
        Ok(key)
    );
    assert_eq!(IdempotencyKey::new(text).as_ref(), Ok(key));
}

/// The rules once more, one at a time.
fn obvious(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line.trim_ascii()).ok()?;
    if !text.chars().all(|letter| (' '..='~').contains(&letter)) {
        return None;
    }
    let key = if let Some(quoted) = text.strip_prefix('"') {
        // No letter of a key is a tab or a return: they may stand for what is escaped.
        let marked = quoted.replace("\\\\", "\t").replace("\\\"", "\r");
        let inner = marked.strip_suffix('"')?;
        if inner.contains(['"', '\\']) {
            return None;
        }
        inner.replace('\t', "\\").replace('\r', "\"")
    } else {
        text.to_owned()
    };
    (1..=MAX_KEY_BYTES).contains(&key.len()).then_some(key)
}
