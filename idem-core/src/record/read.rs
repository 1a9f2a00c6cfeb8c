//! What records hold, read from where it is: nothing is copied, and no length is believed.

use bytes::Bytes;

use super::{
    BODY_FULL, BODY_NOT_RETAINED, CHECKSUM_BYTES, MAGIC, Record, RecordError, RecordedBody, VERSION,
};

pub(super) struct Reader {
    pub(super) bytes: Bytes,
    pub(super) at: usize,
}

impl Reader {
    /// At the kind of what has a record's head and checksum.
    pub(super) fn framed(bytes: &Bytes) -> Result<Self, RecordError> {
        let Some((head, _)) = bytes.split_first_chunk::<5>() else {
            return Err(RecordError::Truncated);
        };
        if !head.starts_with(MAGIC) {
            return Err(RecordError::NotARecord);
        }
        // Before the checksum: another version may not end in one.
        if head[4] != VERSION {
            return Err(RecordError::UnknownVersion { version: head[4] });
        }
        let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(RecordError::Truncated);
        };
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return Err(RecordError::BadChecksum);
        }
        Ok(Self {
            bytes: bytes.slice(..content.len()),
            at: head.len(),
        })
    }

    /// Behind the kind, which must be this one.
    pub(super) fn of_kind(kind: u8, bytes: &Bytes) -> Result<Self, RecordError> {
        let mut reader = Self::framed(bytes)?;
        match reader.byte()? {
            found if found == kind => Ok(reader),
            kind => Err(RecordError::UnknownKind { kind }),
        }
    }

    pub(super) fn end(&self) -> Result<(), RecordError> {
        match self.rest() {
            0 => Ok(()),
            surplus => Err(RecordError::Surplus { surplus }),
        }
    }

    fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordError> {
        let byte = *self.bytes.get(self.at).ok_or(RecordError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, RecordError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(RecordError::Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordError::Malformed)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, RecordError> {
        let length = usize::try_from(self.number()?).map_err(|_| RecordError::Malformed)?;
        if length > self.rest() {
            return Err(RecordError::Truncated);
        }
        let bytes = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Ok(bytes)
    }

    pub(super) fn response(&mut self) -> Result<Record, RecordError> {
        let status = u16::from_le_bytes([self.byte()?, self.byte()?]);
        let count = self.number()?;
        // A header takes at least two bytes: a lying count must not reserve memory.
        let mut headers = Vec::with_capacity(count.min(self.rest() as u64 / 2) as usize);
        for _ in 0..count {
            headers.push((self.bytes()?, self.bytes()?));
        }
        let body = match self.byte()? {
            BODY_FULL => RecordedBody::Full(self.bytes()?),
            BODY_NOT_RETAINED => RecordedBody::NotRetained {
                length: self.number()?.checked_sub(1),
            },
            _ => return Err(RecordError::Malformed),
        };
        Ok(Record::Response {
            status,
            headers,
            body,
        })
    }
}
