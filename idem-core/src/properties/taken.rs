//! A value made of bytes: what a fuzzer changes in them, it changes in the value.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::record::{Record, RecordedBody};

/// Takes values off the front of bytes; zeros when there are none left.
pub(super) struct Taken<'a>(pub(super) &'a [u8]);

impl Taken<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn eight(&mut self) -> [u8; 8] {
        std::array::from_fn(|_| self.byte())
    }

    /// Short, or now and then around the length from which on a digest stands for it.
    fn length(&mut self) -> usize {
        match self.byte() {
            short @ ..0xf0 => usize::from(short % 24),
            long => 4070 + usize::from(long & 0xf) * 4,
        }
    }

    pub(super) fn bytes(&mut self) -> Bytes {
        (0..self.length()).map(|_| self.byte()).collect()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    pub(super) fn json(&mut self, depth: usize) -> Value {
        let number = |number: Option<serde_json::Number>| number.map_or(Value::Null, Value::Number);
        let inner = if depth == 0 { 8 } else { 11 };
        match self.byte() % inner {
            0 => Value::Null,
            1 => Value::Bool(self.byte().is_multiple_of(2)),
            2 => Value::from(self.byte()),
            3 => Value::from(u64::from_le_bytes(self.eight())),
            4 => Value::from(i64::from_le_bytes(self.eight())),
            5 => number(serde_json::Number::from_f64(f64::from_le_bytes(
                self.eight(),
            ))),
            6 => Value::from(
                0.0 * if self.byte().is_multiple_of(2) {
                    1.0
                } else {
                    -1.0
                },
            ),
            7 => Value::String(self.text()),
            8 => (0..self.byte() % 6).map(|_| self.json(depth - 1)).collect(),
            _ => {
                let entries = (0..self.byte() % 6).map(|_| (self.text(), self.json(depth - 1)));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    pub(super) fn record(&mut self) -> Record {
        if self.byte().is_multiple_of(4) {
            return Record::Value(self.bytes());
        }
        Record::Response {
            status: u16::from_le_bytes([self.byte(), self.byte()]),
            headers: (0..self.byte() % 6)
                .map(|_| (self.bytes(), self.bytes()))
                .collect(),
            body: match self.byte() % 3 {
                0 => RecordedBody::Full(self.bytes()),
                1 => RecordedBody::NotRetained { length: None },
                // One more has no room in the form.
                _ => RecordedBody::NotRetained {
                    length: Some(u64::from_le_bytes(self.eight()).min(u64::MAX - 1)),
                },
            },
        }
    }
}
