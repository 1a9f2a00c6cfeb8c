//! A record's bytes are the answer that was recorded, or an error.

use bytes::Bytes;
use http::HeaderName;
use idem_core::record::{Record, RecordedBody};

use crate::respond::{Restored, restore};

/// `data` is the record as the store has it; and the status, headers (a line each) and body of one.
pub fn replay(data: &[u8]) {
    let _ = restored(&Bytes::copy_from_slice(data));

    let (status, rest) = data.split_at_checked(2).unwrap_or((&[200, 0], data));
    let status = u16::from_le_bytes([status[0], status[1]]);
    let mut lines = rest.split(|byte| *byte == b'\n');
    let body = Bytes::copy_from_slice(lines.next_back().unwrap_or_default());
    let headers: Vec<(Bytes, Bytes)> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let copied = |part: &[u8]| Bytes::copy_from_slice(part);
            Some((copied(&line[..colon]), copied(&line[colon + 1..])))
        })
        .collect();
    let record = Record::Response {
        status,
        headers: headers.clone(),
        body: RecordedBody::Full(body),
    };
    if let Some(answer) = restored(&record.encode()) {
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers().len(), headers.len());
        for (name, value) in headers {
            let name = HeaderName::from_bytes(&name).unwrap();
            let mut found = answer.headers().get_all(name).iter();
            assert!(found.any(|found| found.as_bytes() == value));
        }
    }
}

/// An answer whose headers hold nothing that could end one and begin another.
fn restored(record: &Bytes) -> Option<axum::response::Response> {
    let Ok(Restored::Response(answer)) = restore(record) else {
        return None;
    };
    assert!((100..=999).contains(&answer.status().as_u16()));
    for (name, value) in answer.headers() {
        assert!(
            name.as_str()
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':')
        );
        let splits = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        assert!(!value.as_bytes().iter().any(splits));
    }
    Some(answer)
}
