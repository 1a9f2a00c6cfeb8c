//! Serde's data model in canonical form: what is erased, what counts, and how deep it may go.
//!
//! The table in the [module documentation](super#canonical-form) is the specification; where the
//! bytes go is the business of [`Sink`].

use std::fmt;

use serde::ser::{self, Serialize};
use sha2::{Digest, Sha256};

use super::compound::{Elements, Entries, Fields};
use super::error::{FingerprintError, Refusal};
use super::keys::Keys;
use super::layouts::Layouts;
use super::neighbours::Neighbours;
use super::scratch;
use super::sink::Sink;
use super::tag;

/// Nested sequences, maps and variants. `serde_json` reads no deeper ones than this.
const DEPTH_LIMIT: usize = 128;

/// Nested `Some`s and newtype structs. They leave no trace in the form, yet each takes a frame of
/// the call stack; a recursive type has a few of them per level.
const WRAPPER_LIMIT: usize = 4 * DEPTH_LIMIT;

pub(super) type Result<T = (), E = Refusal> = std::result::Result<T, E>;

/// Feeds the canonical form of `value` to `hasher`; after an error, nothing.
pub(super) fn encode<T: Serialize + ?Sized>(
    value: &T,
    hasher: &mut Sha256,
) -> Result<(), FingerprintError> {
    encode_with(&|encoder| encoder.descend(value), hasher)
}

/// All of it that does not depend on the value's type, so that it is compiled once.
fn encode_with(
    descend: &dyn Fn(&mut Encoder) -> Result,
    hasher: &mut Sha256,
) -> Result<(), FingerprintError> {
    let mut encoder = scratch::take();
    encoder.sink.put_byte(tag::TYPED);
    encoder.sink.next_part();
    let encoded = descend(&mut encoder).and_then(|()| encoder.intact());
    if encoded.is_ok() {
        encoder.sink.complete_part();
        hasher.update(encoder.sink.written());
    }
    scratch::put_back(encoder);
    encoded.map_err(FingerprintError::from)
}

/// One run of the serializer.
#[derive(Default)]
pub(super) struct Encoder {
    pub(super) sink: Sink,
    pub(super) keys: Keys,
    pub(super) layouts: Layouts,
    pub(super) neighbours: Neighbours,
    depth: usize,
    wrappers: usize,
    /// Whether any value inside has failed. Its enclosing value may have ignored that and gone
    /// on; then bytes are missing, and such a fingerprint must not get out.
    pub(super) failed: bool,
}

impl Encoder {
    /// Forgets the value, but not what was learnt about structs.
    pub(super) fn reset(&mut self) {
        self.sink.reset();
        self.keys.reset();
        self.layouts.reset();
        self.neighbours.reset();
        self.depth = 0;
        self.wrappers = 0;
        self.failed = false;
    }

    #[inline]
    pub(super) fn descend<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let result = value.serialize(&mut *self);
        if result.is_err() {
            self.failed = true;
        }
        result
    }

    /// Refuses a value that broke serde's rules, even if it goes on regardless.
    #[cold]
    pub(super) fn broken(&mut self, rule: &'static str) -> Result {
        self.failed = true;
        Err(FingerprintError::Contract(rule).into())
    }

    pub(super) fn intact(&self) -> Result {
        if self.failed {
            return Err(
                FingerprintError::Contract("the error of a nested value was ignored").into(),
            );
        }
        Ok(())
    }

    /// One level deeper. `None`: that is too deep.
    #[inline]
    pub(super) fn enter(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEPTH_LIMIT).then_some(())
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// `Some(x)` and newtype structs around `x` are `x`.
    #[inline]
    fn transparent<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.wrappers += 1;
        if self.wrappers > WRAPPER_LIMIT {
            let limit = WRAPPER_LIMIT;
            return Err(FingerprintError::TooDeep { limit }.into());
        }
        self.descend(value)?;
        self.wrappers -= 1;
        Ok(())
    }

    fn signed(&mut self, value: i64) {
        let sign = if value < 0 {
            tag::NEGATIVE
        } else {
            tag::NON_NEGATIVE
        };
        self.sink.put_integer(sign, value.unsigned_abs());
    }

    fn wide_integer(&mut self, sign: u8, magnitude: u128) {
        if let Ok(magnitude) = u64::try_from(magnitude) {
            return self.sink.put_integer(sign, magnitude);
        }
        let len = size_of::<u128>() - magnitude.leading_zeros() as usize / 8;
        let mut encoded = [sign + len as u8; 17];
        encoded[1..].copy_from_slice(&magnitude.to_le_bytes());
        self.sink.put_cut((&encoded, 1 + len));
    }

    fn float(&mut self, value: f64) {
        let bits = if value.is_nan() {
            0x7ff8_0000_0000_0000
        } else if value == 0.0 {
            0
        } else {
            value.to_bits()
        };
        let mut encoded = [tag::FLOAT; 9];
        encoded[1..].copy_from_slice(&bits.to_le_bytes());
        self.sink.put_cut((&encoded, 9));
    }

    fn variant(&mut self, name: &str) {
        self.sink.put_byte(tag::VARIANT);
        self.sink.put_str(name.as_bytes());
    }
}

#[cold]
pub(super) fn too_deep() -> Refusal {
    let limit = DEPTH_LIMIT;
    FingerprintError::TooDeep { limit }.into()
}

impl<'e> ser::Serializer for &'e mut Encoder {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Elements<'e>;
    type SerializeTuple = Elements<'e>;
    type SerializeTupleStruct = Elements<'e>;
    type SerializeTupleVariant = Elements<'e>;
    type SerializeMap = Entries<'e>;
    type SerializeStruct = Fields<'e>;
    type SerializeStructVariant = Fields<'e>;

    fn is_human_readable(&self) -> bool {
        // What JSON would show: a type that writes itself as text there does so here.
        true
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result {
        self.sink
            .put_byte(if value { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result {
        self.signed(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result {
        self.signed(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result {
        self.signed(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result {
        self.signed(value);
        Ok(())
    }

    #[inline]
    fn serialize_i128(self, value: i128) -> Result {
        let sign = if value < 0 {
            tag::NEGATIVE
        } else {
            tag::NON_NEGATIVE
        };
        self.wide_integer(sign, value.unsigned_abs());
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result {
        self.sink.put_integer(tag::NON_NEGATIVE, value.into());
        Ok(())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result {
        self.sink.put_integer(tag::NON_NEGATIVE, value.into());
        Ok(())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result {
        self.sink.put_integer(tag::NON_NEGATIVE, value.into());
        Ok(())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result {
        self.sink.put_integer(tag::NON_NEGATIVE, value);
        Ok(())
    }

    #[inline]
    fn serialize_u128(self, value: u128) -> Result {
        self.wide_integer(tag::NON_NEGATIVE, value);
        Ok(())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result {
        self.serialize_f64(value.into())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result {
        self.float(value);
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result {
        self.sink.put_str(value.as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result {
        self.sink.put_bytes(value);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result {
        self.sink.put_display(value).map_err(|fmt::Error| {
            FingerprintError::Contract("a `Display` reported an error").into()
        })
    }

    #[inline]
    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit(self) -> Result {
        self.sink.put_byte(tag::NULL);
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        self.transparent(value)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        self.transparent(value)
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result {
        self.serialize_str(name)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result {
        self.enter().ok_or_else(too_deep)?;
        self.variant(name);
        self.descend(value)?;
        self.leave();
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'e>> {
        Elements::open(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Elements<'e>> {
        Elements::open(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'e>> {
        Elements::open(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Elements<'e>> {
        self.variant(name);
        Elements::open(self)
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'e>> {
        Entries::open(self)
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'e>> {
        Fields::open(self, name)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Fields<'e>> {
        self.variant(name);
        Fields::open(self, name)
    }
}
