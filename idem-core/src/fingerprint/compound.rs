//! The two shapes of values with values inside: elements in their order, and entries ordered by
//! key.

use serde::ser::{self, Serialize};

use super::canonical::{Encoder, Result};
use super::error::FingerprintError;
use super::sink::OpenMap;
use super::tag;

/// An open sequence, tuple, tuple struct or tuple variant.
pub(super) struct Elements<'e, 'h> {
    encoder: &'e mut Encoder<'h>,
}

impl<'e, 'h> Elements<'e, 'h> {
    pub(super) fn open(encoder: &'e mut Encoder<'h>) -> Result<Self> {
        encoder.enter()?;
        encoder.sink.put(&[tag::SEQ]);
        Ok(Self { encoder })
    }

    fn add<T: Serialize + ?Sized>(&mut self, element: &T) -> Result {
        self.encoder.descend(element)
    }

    fn close(self) -> Result {
        self.encoder.sink.put(&[tag::END]);
        self.encoder.leave();
        Ok(())
    }
}

/// An open map, struct or struct variant.
pub(super) struct Entries<'e, 'h> {
    encoder: &'e mut Encoder<'h>,
    map: OpenMap,
    /// The start and end of a key whose value has not come yet.
    key: Option<(usize, usize)>,
}

impl<'e, 'h> Entries<'e, 'h> {
    pub(super) fn open(encoder: &'e mut Encoder<'h>) -> Result<Self> {
        encoder.enter()?;
        let map = encoder.sink.open_map();
        Ok(Self {
            encoder,
            map,
            key: None,
        })
    }

    fn add_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result {
        if self.key.is_some() {
            return self.encoder.broken("a key follows a key");
        }
        let start = self.encoder.sink.position();
        self.encoder.part(key)?;
        self.key = Some((start, self.encoder.sink.position()));
        Ok(())
    }

    fn add_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result {
        let Some((start, key_end)) = self.key.take() else {
            return self.encoder.broken("a map value has no key");
        };
        self.encoder.part(value)?;
        self.encoder.sink.add_entry(start, key_end);
        Ok(())
    }

    #[inline]
    fn add_field<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result {
        let start = self.encoder.sink.position();
        if !self.encoder.sink.put_field_name(name) {
            self.encoder.part(name)?;
        }
        let key_end = self.encoder.sink.position();
        self.encoder.part(value)?;
        self.encoder.sink.add_entry(start, key_end);
        Ok(())
    }

    fn close(self) -> Result {
        if self.key.is_some() {
            return self.encoder.broken("a key has no value");
        }
        // After a failure inside, the entries need not match the bytes any more.
        self.encoder.intact()?;
        self.encoder.sink.close_map(self.map);
        self.encoder.leave();
        Ok(())
    }
}

impl ser::SerializeSeq for Elements<'_, '_> {
    type Ok = ();
    type Error = FingerprintError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTuple for Elements<'_, '_> {
    type Ok = ();
    type Error = FingerprintError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Elements<'_, '_> {
    type Ok = ();
    type Error = FingerprintError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTupleVariant for Elements<'_, '_> {
    type Ok = ();
    type Error = FingerprintError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeMap for Entries<'_, '_> {
    type Ok = ();
    type Error = FingerprintError;

    fn serialize_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result {
        self.add_key(key)
    }

    fn serialize_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result {
        self.add_value(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeStruct for Entries<'_, '_> {
    type Ok = ();
    type Error = FingerprintError;

    fn serialize_field<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result {
        self.add_field(name, value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeStructVariant for Entries<'_, '_> {
    type Ok = ();
    type Error = FingerprintError;

    fn serialize_field<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result {
        self.add_field(name, value)
    }

    fn end(self) -> Result {
        self.close()
    }
}
