//! The shapes of values with values inside: elements in their order; entries and fields ordered by
//! key.

use serde::ser::{self, Serialize};

use super::canonical::{Encoder, Result, too_deep};
use super::error::Refusal;
use super::layouts::{LayoutId, Way};
use super::neighbours::Place;
use super::tag;

/// An open sequence, tuple, tuple struct or tuple variant.
pub(super) struct Elements<'e> {
    encoder: &'e mut Encoder,
    /// Where it stands itself.
    place: Place,
}

// Inlined, as are fields: a struct of more than two words is handed over in memory, and what was
// just written in other pieces than it is read takes its time to arrive.
impl<'e> Elements<'e> {
    #[inline]
    pub(super) fn open(encoder: &'e mut Encoder) -> Result<Self> {
        let place = encoder.open_sequence().ok_or_else(too_deep)?;
        Ok(Self { encoder, place })
    }

    #[inline]
    fn add<T: Serialize + ?Sized>(&mut self, element: &T) -> Result {
        self.encoder.descend(element)
    }

    #[inline]
    fn close(self) -> Result {
        self.encoder.close_sequence(self.place);
        Ok(())
    }
}

/// An open map.
pub(super) struct Entries<'e> {
    encoder: &'e mut Encoder,
    map: OpenMap,
    /// Whether there is a key whose value has not come yet.
    has_key: bool,
}

impl<'e> Entries<'e> {
    pub(super) fn open(encoder: &'e mut Encoder) -> Result<Self> {
        let map = encoder.open_map().ok_or_else(too_deep)?;
        Ok(Self {
            encoder,
            map,
            has_key: false,
        })
    }

    #[inline]
    fn add_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result {
        if self.has_key {
            return self.encoder.broken("a key follows a key");
        }
        self.encoder.descend(key)?;
        self.encoder.take_key(self.map);
        self.has_key = true;
        Ok(())
    }

    #[inline]
    fn add_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result {
        if !self.has_key {
            return self.encoder.broken("a map value has no key");
        }
        self.has_key = false;
        self.encoder.descend(value)?;
        self.encoder.take_entry();
        Ok(())
    }

    fn close(self) -> Result {
        if self.has_key {
            return self.encoder.broken("a key has no value");
        }
        self.encoder.close_map(self.map)
    }
}

/// An open struct or struct variant.
pub(super) struct Fields<'e> {
    encoder: &'e mut Encoder,
    map: OpenMap,
    /// The names of its values so far. None: they are among the keys.
    way: Way,
}

impl<'e> Fields<'e> {
    #[inline]
    pub(super) fn open(encoder: &'e mut Encoder, name: &'static str) -> Result<Self> {
        let map = encoder.open_map().ok_or_else(too_deep)?;
        let way = encoder.layouts.begin(name);
        Ok(Self { encoder, map, way })
    }

    #[inline]
    fn add<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result {
        self.encoder.descend(value)?;
        self.way = self.encoder.take_field(self.map, self.way, name);
        Ok(())
    }

    #[inline]
    fn close(self) -> Result {
        self.encoder.close_struct(self.map, self.way)
    }
}

/// A map or struct whose values are being collected, in one word: where it stands itself, and its
/// number at the sink.
#[derive(Clone, Copy)]
struct OpenMap(u64);

impl OpenMap {
    #[inline]
    fn new(place: Place, number: u32) -> Self {
        Self(u64::from(place.0) << 32 | u64::from(number))
    }

    #[inline]
    fn place(self) -> Place {
        Place((self.0 >> 32) as u32)
    }

    #[inline]
    fn number(self) -> u32 {
        self.0 as u32
    }
}

impl Encoder {
    /// Opens a sequence. `None`: it is too deep.
    fn open_sequence(&mut self) -> Option<Place> {
        self.enter()?;
        self.sink.put_byte(tag::SEQ);
        Some(self.neighbours.open())
    }

    fn close_sequence(&mut self, place: Place) {
        self.sink.put_byte(tag::SEQ_END);
        self.neighbours.close(place);
        self.leave();
    }

    /// Opens a map or struct. `None`: it is too deep.
    fn open_map(&mut self) -> Option<OpenMap> {
        self.enter()?;
        let place = self.neighbours.leave();
        Some(OpenMap::new(place, self.sink.open_map()))
    }

    /// Takes what was just written as a key, and moves it to the others.
    fn take_key(&mut self, map: OpenMap) {
        self.sink.complete_part();
        self.keys
            .push(self.sink.part(), self.sink.parts(map.number()));
        self.sink.clear_part();
    }

    /// Takes it as the value of the last key.
    fn take_entry(&mut self) {
        if !self.take_value() {
            self.keys.pop();
        }
    }

    /// Takes it as the value of a field.
    fn take_field(&mut self, map: OpenMap, way: Way, name: &'static str) -> Way {
        match self.layouts.step(way, name) {
            Some(way) if self.sink.next_part_if_easy() => way,
            _ => self.take_any_field(map, way, name),
        }
    }

    /// The same for a field that is not what was expected, or has a value that is not.
    #[cold]
    #[inline(never)]
    fn take_any_field(&mut self, map: OpenMap, way: Way, name: &'static str) -> Way {
        if !self.take_value() {
            return way;
        }
        let before = self.sink.parts(map.number()) - 1;
        if !way.is_none() {
            if let Some(way) = self.layouts.step_aside(way, name) {
                return way;
            }
            for (index, name) in self.layouts.names(way).into_iter().enumerate() {
                self.keys.push_name(name, index);
            }
        }
        self.keys.push_name(name, before);
        Way::NONE
    }

    /// Takes what was just written as a value; unless it is a null.
    #[inline]
    fn take_value(&mut self) -> bool {
        self.sink.complete_part();
        let is_null = self.sink.part() == [tag::NULL];
        if is_null {
            self.sink.clear_part();
        } else {
            self.sink.next_part();
        }
        !is_null
    }

    /// Closes a map, whose keys are there.
    fn close_map(&mut self, map: OpenMap) -> Result {
        // After a failure inside, the keys need not match the values any more.
        self.intact()?;
        let mark = self.keys.mark() - self.sink.parts(map.number());
        self.sink.close_map(map.number(), self.keys.order(mark));
        let shape = self.keys.shape(mark);
        self.keys.truncate(mark);
        let is_same = self.neighbours.enter(map.place(), &shape, None);
        self.sink.put_shape(&shape, is_same);
        self.leave();
        Ok(())
    }

    fn close_struct(&mut self, map: OpenMap, way: Way) -> Result {
        if !self.failed
            && let Some(layout) = self.layouts.get(way)
            && let order = self.layouts.order(layout)
            && self.sink.close_map_if_easy(map.number(), order)
        {
            self.name_keys(map, layout);
            return Ok(());
        }
        self.close_any_struct(map, way)
    }

    #[inline(never)]
    fn close_any_struct(&mut self, map: OpenMap, way: Way) -> Result {
        if way.is_none() {
            return self.close_map(map);
        }
        self.intact()?;
        let layout = match self.layouts.get(way) {
            Some(layout) => layout,
            None => self.lay_out(way),
        };
        self.sink
            .close_map(map.number(), self.layouts.order(layout));
        self.name_keys(map, layout);
        Ok(())
    }

    #[inline]
    fn name_keys(&mut self, map: OpenMap, layout: LayoutId) {
        let shape = self.layouts.shape(layout);
        let is_same = self.neighbours.enter(map.place(), shape, Some(layout));
        self.leave();
        self.sink.put_shape(self.layouts.shape(layout), is_same);
    }

    /// Finds out what a struct comes to, as if it were a map.
    #[cold]
    fn lay_out(&mut self, way: Way) -> LayoutId {
        let mark = self.keys.mark();
        let names = self.layouts.names(way);
        for (index, name) in names.into_iter().enumerate() {
            self.keys.push_name(name, index);
        }
        let mut order = self.keys.order(mark).to_vec();
        if order.is_empty() {
            order = (0..self.keys.mark() - mark)
                .map(|index| index as u32)
                .collect();
        }
        let layout = self.layouts.set(way, self.keys.shape(mark), &order);
        self.keys.truncate(mark);
        layout
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTuple for Elements<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Elements<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTupleVariant for Elements<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.add(value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Refusal;

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

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_field<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result {
        self.add(name, value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeStructVariant for Fields<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_field<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result {
        self.add(name, value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}
