//! What a client was seen to say.

/// A command's name as it stands in a request, in lower case.
const SCRIPT: [&[u8]; 2] = [b"$7\r\nevalsha\r\n", b"$4\r\neval\r\n"];
const SYNC: &[u8] = b"$5\r\npsync\r\n";
/// The most of a name that may have come with the read before.
const OVERLAP: usize = 12;

/// Looks for commands in the bytes of one client.
#[derive(Debug, Default)]
pub(super) struct Scan {
    tail: Vec<u8>,
    /// It has called a script: its connection is set up.
    pub(super) script: bool,
    /// It is a replica.
    pub(super) replica: bool,
}

impl Scan {
    /// Takes in what the client sent.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        if self.script || self.replica {
            return;
        }
        self.tail.extend(bytes.iter().map(u8::to_ascii_lowercase));
        let said = |name: &[u8]| self.tail.windows(name.len()).any(|bytes| bytes == name);
        self.script = SCRIPT.into_iter().any(said);
        self.replica = said(SYNC);
        let old = self.tail.len().saturating_sub(OVERLAP);
        self.tail.drain(..old);
    }
}
