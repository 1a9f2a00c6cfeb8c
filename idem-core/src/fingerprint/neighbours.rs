//! Maps that stand in one sequence say what their keys are only when they change.

use super::layouts::LayoutId;
use super::shape::Shape;

/// The last map of each open sequence, and where the next value stands.
#[derive(Default)]
pub(super) struct Neighbours {
    place: Place,
    last: Vec<Last>,
}

/// Where a value stands: in which of the open sequences, if in one at all.
#[derive(Clone, Copy)]
pub(super) struct Place(pub(super) u32);

struct Last {
    shape: Shape,
    /// What is known of it without a look at the shape.
    layout: Option<LayoutId>,
}

impl Place {
    const NOWHERE: Self = Self(u32::MAX);
}

impl Default for Place {
    fn default() -> Self {
        Self::NOWHERE
    }
}

impl Neighbours {
    /// Opens a sequence, in which the next value stands. Where the sequence itself stands is to
    /// be handed to [`Self::close`].
    #[inline]
    pub(super) fn open(&mut self) -> Place {
        let inside = Place(self.last.len() as u32);
        self.last.push(Last {
            shape: Shape::NONE,
            layout: None,
        });
        std::mem::replace(&mut self.place, inside)
    }

    /// Closes the sequence.
    #[inline]
    pub(super) fn close(&mut self, place: Place) {
        self.last.pop();
        self.place = place;
    }

    /// Opens a map, whose values do not stand in a sequence. Where the map itself stands is to be
    /// handed to [`Self::enter`].
    #[inline]
    pub(super) fn leave(&mut self) -> Place {
        std::mem::replace(&mut self.place, Place::NOWHERE)
    }

    /// Closes the map, and says whether the last one there had the same keys.
    #[inline]
    pub(super) fn enter(&mut self, place: Place, shape: &Shape, layout: Option<LayoutId>) -> bool {
        self.place = place;
        let Some(last) = self.last.get_mut(place.0 as usize) else {
            return false;
        };
        if layout.is_some() && last.layout == layout {
            return true;
        }
        last.layout = layout;
        let is_same = last.shape == *shape;
        last.shape = *shape;
        is_same
    }

    #[inline]
    pub(super) fn reset(&mut self) {
        self.place = Place::NOWHERE;
        self.last.clear();
    }
}
