//! Serde's data model in canonical form: what is erased, what counts, and how deep it may go.
//!
//! The table in the [module documentation](super#canonical-form) is the specification; where the
//! bytes go is the business of [`Sink`].

use std::fmt;

use serde::ser::{self, Serialize};
use sha2::Sha256;

use super::compound::{Elements, Entries};
use super::error::FingerprintError;
use super::sink::Sink;
use super::tag;

/// Nested sequences, maps and variants. `serde_json` reads no deeper ones than this.
const DEPTH_LIMIT: usize = 128;

/// Nested `Some`s and newtype structs. They leave no trace in the form, yet each takes a frame of
/// the call stack; a recursive type has a few of them per level.
const WRAPPER_LIMIT: usize = 4 * DEPTH_LIMIT;

pub(super) type Result<T = (), E = FingerprintError> = std::result::Result<T, E>;

/// Feeds `tag` and the canonical form of `value` to `hasher`. After an error the hasher is left
/// with a part of it.
pub(super) fn encode<T: Serialize + ?Sized>(tag: u8, value: &T, hasher: &mut Sha256) -> Result {
    encode_with(tag, &|encoder| encoder.descend(value), hasher)
}

/// All of it that does not depend on the value's type, so that it is compiled once.
fn encode_with(
    tag: u8,
    descend: &dyn Fn(&mut Encoder<'_>) -> Result,
    hasher: &mut Sha256,
) -> Result {
    let mut encoder = Encoder {
        sink: Sink::new(hasher),
        depth: 0,
        wrappers: 0,
        failed: false,
    };
    encoder.sink.put(&[tag]);
    let encoded = descend(&mut encoder).and_then(|()| encoder.intact());
    match encoded {
        Ok(()) => encoder.sink.close(),
        Err(_) => encoder.sink.abandon(),
    }
    encoded
}

/// One run of the serializer.
pub(super) struct Encoder<'h> {
    pub(super) sink: Sink<'h>,
    depth: usize,
    wrappers: usize,
    /// Whether any value inside has failed. Its enclosing value may have ignored that and gone
    /// on; then bytes are missing, and such a fingerprint must not get out.
    failed: bool,
}

impl Encoder<'_> {
    pub(super) fn descend<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let result = value.serialize(&mut *self);
        self.failed |= result.is_err();
        result
    }

    /// Refuses a value that broke serde's rules, even if it goes on regardless.
    pub(super) fn broken(&mut self, rule: &'static str) -> Result {
        self.failed = true;
        Err(FingerprintError::Contract(rule))
    }

    pub(super) fn intact(&self) -> Result {
        if self.failed {
            return Err(FingerprintError::Contract(
                "the error of a nested value was ignored",
            ));
        }
        Ok(())
    }

    pub(super) fn enter(&mut self) -> Result {
        self.depth += 1;
        within(self.depth, DEPTH_LIMIT)
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// `Some(x)` and newtype structs around `x` are `x`.
    fn transparent<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.wrappers += 1;
        within(self.wrappers, WRAPPER_LIMIT)?;
        self.descend(value)?;
        self.wrappers -= 1;
        Ok(())
    }

    /// A key or a value of a map.
    #[inline]
    pub(super) fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let enclosing = self.sink.open_part();
        let result = self.descend(value);
        self.sink.close_part(enclosing);
        result
    }

    #[inline]
    fn signed(&mut self, value: i64) -> Result {
        let sign = if value < 0 {
            tag::NEGATIVE
        } else {
            tag::NON_NEGATIVE
        };
        self.integer(sign, value.unsigned_abs())
    }

    #[inline]
    fn integer(&mut self, sign: u8, magnitude: u64) -> Result {
        self.sink.put_integer(sign, magnitude);
        Ok(())
    }

    fn wide_integer(&mut self, sign: u8, magnitude: u128) -> Result {
        if let Ok(magnitude) = u64::try_from(magnitude) {
            return self.integer(sign, magnitude);
        }
        let len = (u128::BITS - magnitude.leading_zeros()).div_ceil(8) as u8;
        self.sink.put(&[sign, len]);
        self.sink.put(&magnitude.to_le_bytes()[..usize::from(len)]);
        Ok(())
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
        self.sink.put(&encoded);
    }

    fn variant(&mut self, name: &str) {
        self.sink.put(&[tag::VARIANT]);
        self.sink.put_prefixed(tag::STR, name.as_bytes());
    }
}

fn within(depth: usize, limit: usize) -> Result {
    if depth > limit {
        return Err(FingerprintError::TooDeep { limit });
    }
    Ok(())
}

impl<'e, 'h> ser::Serializer for &'e mut Encoder<'h> {
    type Ok = ();
    type Error = FingerprintError;
    type SerializeSeq = Elements<'e, 'h>;
    type SerializeTuple = Elements<'e, 'h>;
    type SerializeTupleStruct = Elements<'e, 'h>;
    type SerializeTupleVariant = Elements<'e, 'h>;
    type SerializeMap = Entries<'e, 'h>;
    type SerializeStruct = Entries<'e, 'h>;
    type SerializeStructVariant = Entries<'e, 'h>;

    fn is_human_readable(&self) -> bool {
        // What JSON would show: a type that writes itself as text there does so here.
        true
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result {
        self.sink.put(&[if value { tag::TRUE } else { tag::FALSE }]);
        Ok(())
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result {
        self.signed(value.into())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result {
        self.signed(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result {
        self.signed(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result {
        self.signed(value)
    }

    #[inline]
    fn serialize_i128(self, value: i128) -> Result {
        let sign = if value < 0 {
            tag::NEGATIVE
        } else {
            tag::NON_NEGATIVE
        };
        self.wide_integer(sign, value.unsigned_abs())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result {
        self.integer(tag::NON_NEGATIVE, value.into())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result {
        self.integer(tag::NON_NEGATIVE, value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result {
        self.integer(tag::NON_NEGATIVE, value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result {
        self.integer(tag::NON_NEGATIVE, value)
    }

    #[inline]
    fn serialize_u128(self, value: u128) -> Result {
        self.wide_integer(tag::NON_NEGATIVE, value)
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
        self.sink.put_prefixed(tag::STR, value.as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result {
        self.sink.put_prefixed(tag::BYTES, value);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result {
        self.sink
            .put_display(value)
            .map_err(|fmt::Error| FingerprintError::Contract("a `Display` reported an error"))
    }

    #[inline]
    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit(self) -> Result {
        self.sink.put(&[tag::NULL]);
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
        self.enter()?;
        self.variant(name);
        self.descend(value)?;
        self.leave();
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'e, 'h>> {
        Elements::open(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Elements<'e, 'h>> {
        Elements::open(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'e, 'h>> {
        Elements::open(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Elements<'e, 'h>> {
        self.variant(name);
        Elements::open(self)
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'e, 'h>> {
        Entries::open(self)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'e, 'h>> {
        Entries::open(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Entries<'e, 'h>> {
        self.variant(name);
        Entries::open(self)
    }
}
