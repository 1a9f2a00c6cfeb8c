//! What a request asks, in 32 bytes.
//!
//! Two requests under one key are the same request when their fingerprints are equal. So a
//! fingerprint must not change when a client merely writes the same thing differently, and must
//! change when it asks for anything else.
//!
//! ```
//! use idem_core::fingerprint::FingerprintBuilder;
//! use serde::Serialize;
//!
//! #[derive(Serialize)]
//! struct Payment<'a> {
//!     amount: u32,
//!     currency: &'a str,
//!     note: Option<&'a str>,
//! }
//!
//! let ask = |amount| {
//!     let mut asked = FingerprintBuilder::request("POST", "/payments", None);
//!     asked.typed(&Payment { amount, currency: "EUR", note: None })?;
//!     Ok::<_, idem_core::fingerprint::FingerprintError>(asked.finish())
//! };
//! assert_eq!(ask(100)?, ask(100)?);
//! assert_ne!(ask(100)?, ask(101)?);
//! # Ok::<(), idem_core::fingerprint::FingerprintError>(())
//! ```
//!
//! # Canonical form
//!
//! [`typed`](FingerprintBuilder::typed) values are not hashed as JSON text but as a stream of
//! tagged, self-delimiting bytes. What is erased, and so may differ between a request and its
//! retry (or between two versions of a service during a rolling deploy):
//!
//! - the order of struct fields and map entries; a struct and a map with the same entries agree;
//! - entries whose value is `None`, `()` or null, at any depth inside structs and maps (but not
//!   elements of sequences);
//! - the width and signedness of integers; the width of floats that are the same number in both
//!   (`0.5`, but not `0.1`, which an `f32` holds less exactly);
//! - the sign of a floating-point zero, and the bits of a NaN;
//! - `Some(x)` and newtype structs around `x`.
//!
//! Everything else counts: `1`, `1.0` and `"1"` are three values, and elements of a sequence have
//! an order. A `HashSet` writes its elements as a sequence in an order that changes from one set to
//! the next, so it has no stable fingerprint: use a `BTreeSet`. Where null and absent mean two
//! things, as in a JSON merge patch, use [`raw`](FingerprintBuilder::raw).
//!
//! | value | encoding |
//! | --- | --- |
//! | `None`, `()`, unit struct, null | `00` |
//! | `false`, `true` | `01`, `02` |
//! | integer from 0 to 63 | `40` + the integer |
//! | integer ≥ 64, integer < 0 | `10` or `20` + the number of bytes, the magnitude in that many bytes, little-endian, no leading zeros |
//! | float | `03`, the bits of the `f64`, little-endian; zero is `+0.0`, NaN is `7ff8000000000000` |
//! | string, `char`, unit variant (its name), if shorter than 128 bytes | `80` + the length, UTF-8 |
//! | the same if longer | `04`, length, UTF-8 |
//! | bytes | `05`, length, bytes |
//! | sequence, tuple, tuple struct | `08`, the elements, `09` |
//! | map, struct | `0A`, the values, the keys as below; both ordered by the bytes of the encoded keys; entries whose value is `00` are left out; entries with equal keys keep their order |
//! | the keys of a map or struct, if they take 24 bytes or less | `0B`, the keys |
//! | the same if they take more | `0C`, the first 24 bytes of the SHA-256 of the keys |
//! | the same if the map is an element of a sequence (or in a variant that is one), and the map before it in that sequence had these keys too | `0D` |
//! | other variants | `06`, the name as a string, the content as a value, sequence or map |
//! | the whole, and a key or value of a map or struct, if its encoding is longer than 4096 bytes | `07`, SHA-256 of that encoding |
//!
//! A length is an integer, encoded as one. The parts of a fingerprint follow the domain, a block of
//! 64 bytes: `idem.fingerprint`, [`FINGERPRINT_VERSION`], and zeros.
//!
//! | part | encoding |
//! | --- | --- |
//! | [`request`](FingerprintBuilder::request) | `31`, method, path and query as strings; no query is `00` |
//! | [`typed`](FingerprintBuilder::typed) | `32`, the value |
//! | [`raw`](FingerprintBuilder::raw) | `33`, length, bytes |
//! | [`text`](FingerprintBuilder::text) | `34`, length, UTF-8 |
//! | [`nothing`](FingerprintBuilder::nothing) | `35` |
//!
//! Values come before keys so that a struct's names, which seldom change, are not hashed with each
//! of its values: a thread remembers what the names of a struct come to. Keys that pass for other
//! given keys take 2^192 hashes to find. Two sets of keys that pass for one another take 2^96, and
//! who has them can make two requests of his own look alike.

mod canonical;
mod compound;
mod error;
mod keys;
mod layouts;
mod neighbours;
mod scratch;
mod shape;
mod sink;
mod tag;

use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::error::FingerprintError;

/// The version of the canonical form, which is part of every fingerprint.
///
/// Fingerprints of two versions never match, so raising it makes every retry that is in flight
/// during the deploy look like another request.
///
/// ```
/// assert_eq!(idem_core::fingerprint::FINGERPRINT_VERSION, 1);
/// ```
pub const FINGERPRINT_VERSION: u8 = 1;

/// What every fingerprint begins with: one block, so that its hash is computed once.
static DOMAIN: LazyLock<Sha256> = LazyLock::new(|| {
    let mut domain = [0; 64];
    domain[..16].copy_from_slice(b"idem.fingerprint");
    domain[16] = FINGERPRINT_VERSION;
    Sha256::new_with_prefix(domain)
});

/// SHA-256 over what a request asks.
///
/// ```
/// use idem_core::fingerprint::Fingerprint;
///
/// let fingerprint = Fingerprint::from_bytes([0xab; 32]);
/// assert_eq!(fingerprint.as_bytes(), &[0xab; 32]);
/// assert_eq!(format!("{fingerprint:?}"), "Fingerprint(abababab)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// A fingerprint that was stored as bytes.
    ///
    /// ```
    /// use idem_core::fingerprint::{Fingerprint, FingerprintBuilder};
    ///
    /// let fingerprint = FingerprintBuilder::new().finish();
    /// assert_eq!(Fingerprint::from_bytes(*fingerprint.as_bytes()), fingerprint);
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to store them.
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// assert_eq!(FingerprintBuilder::new().finish().as_bytes().len(), 32);
    /// ```
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows eight hex digits: enough to tell two apart in a log, too few to look a payload up.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Fingerprint({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

/// Builds a [`Fingerprint`] part by part.
///
/// Parts are tagged and delimited: the same bytes given as other parts, or split elsewhere, make
/// another fingerprint.
///
/// ```
/// use idem_core::fingerprint::FingerprintBuilder;
///
/// let mut job = FingerprintBuilder::new();
/// job.text("send-invoice").raw(b"\x01\x02");
/// assert_ne!(job.finish(), FingerprintBuilder::new().finish());
/// ```
#[derive(Clone)]
pub struct FingerprintBuilder {
    hasher: Sha256,
}

impl FingerprintBuilder {
    /// Starts the fingerprint of something that is not an HTTP request: a job, a message.
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// let mut job = FingerprintBuilder::new();
    /// job.text("invoice 7");
    /// let fingerprint = job.finish();
    /// # let _ = fingerprint;
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            hasher: DOMAIN.clone(),
        }
    }

    /// Starts the fingerprint of an HTTP request.
    ///
    /// Method, path and query count byte for byte. A missing query (`/a`) and an empty one
    /// (`/a?`) differ.
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// let missing = FingerprintBuilder::request("POST", "/payments", None).finish();
    /// let empty = FingerprintBuilder::request("POST", "/payments", Some("")).finish();
    /// assert_ne!(missing, empty);
    /// ```
    #[must_use]
    pub fn request(method: &str, path: &str, query: Option<&str>) -> Self {
        let mut builder = Self::new();
        builder.hasher.update([tag::REQUEST]);
        builder.str(method);
        builder.str(path);
        match query {
            Some(query) => builder.str(query),
            None => builder.hasher.update([tag::NULL]),
        }
        builder
    }

    /// Adds a value in [canonical form](self#canonical-form).
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// let mut narrow = FingerprintBuilder::new();
    /// narrow.typed(&(1_u8, "EUR"))?;
    /// let mut wide = FingerprintBuilder::new();
    /// wide.typed(&(1_i64, "EUR"))?;
    /// assert_eq!(narrow.finish(), wide.finish());
    /// # Ok::<(), idem_core::fingerprint::FingerprintError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`FingerprintError::TooDeep`] for a value nested more than 128 levels deep, and whatever
    /// the value's `Serialize` implementation reports. The builder is then as it was before.
    pub fn typed<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<&mut Self, FingerprintError> {
        canonical::encode(value, &mut self.hasher)?;
        Ok(self)
    }

    /// Adds bytes as they came over the wire.
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// let mut one = FingerprintBuilder::new();
    /// one.raw(b"ab").raw(b"c");
    /// let mut other = FingerprintBuilder::new();
    /// other.raw(b"a").raw(b"bc");
    /// assert_ne!(one.finish(), other.finish());
    /// ```
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.part(tag::RAW, bytes);
        self
    }

    /// Adds a text.
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// let mut text = FingerprintBuilder::new();
    /// text.text("a");
    /// let mut raw = FingerprintBuilder::new();
    /// raw.raw(b"a");
    /// assert_ne!(text.finish(), raw.finish());
    /// ```
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.part(tag::TEXT, text.as_bytes());
        self
    }

    /// Says that there is no payload, which is not the same as an empty one.
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// let mut absent = FingerprintBuilder::new();
    /// absent.nothing();
    /// let mut empty = FingerprintBuilder::new();
    /// empty.raw(b"");
    /// assert_ne!(absent.finish(), empty.finish());
    /// ```
    pub fn nothing(&mut self) -> &mut Self {
        self.hasher.update([tag::NOTHING]);
        self
    }

    /// The fingerprint of all parts so far.
    ///
    /// ```
    /// use idem_core::fingerprint::FingerprintBuilder;
    ///
    /// let fingerprint = FingerprintBuilder::request("GET", "/", None).finish();
    /// assert_eq!(fingerprint, FingerprintBuilder::request("GET", "/", None).finish());
    /// ```
    #[must_use]
    pub fn finish(self) -> Fingerprint {
        Fingerprint(self.hasher.finalize().into())
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) {
        let (prefix, len) = tag::prefix(tag, bytes.len());
        self.hasher.update(&prefix[..len]);
        self.hasher.update(bytes);
    }

    fn str(&mut self, text: &str) {
        let (prefix, len) = tag::str_prefix(text.len());
        self.hasher.update(&prefix[..len]);
        self.hasher.update(text);
    }
}

impl Default for FingerprintBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows nothing of what was added: payloads do not belong in logs.
impl fmt::Debug for FingerprintBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FingerprintBuilder").finish_non_exhaustive()
    }
}
