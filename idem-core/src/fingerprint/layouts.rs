//! What a thread has learnt of structs: what their fields come to, and in which order they are
//! canonical.
//!
//! A struct's fields come one by one, each name a `&'static str`. The names on the way from a
//! root to a node are those of a struct so far; fields without a value are not among them, so
//! what can be absent makes ways of its own. A name is found by its address and length, which no
//! two texts share; a text with two addresses is found twice, with the same result.

use super::shape::Shape;

/// How many ways begin. Structs are spread over them by the address of their name.
const ROOTS: u32 = 64;

/// So many nodes, and so many fields in all orders, are remembered. Beyond that structs are
/// written like maps, until the value is finished and everything is forgotten.
const NODES: usize = 1024;
const ORDERS: usize = 16 * NODES;

/// Neither a node nor a layout.
const NONE: u32 = u32::MAX;

pub(super) struct Layouts {
    nodes: Vec<Node>,
    layouts: Vec<Layout>,
    /// The orders of all layouts, one after the other.
    orders: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Node {
    /// The last field so far.
    name: &'static str,
    parent: u32,
    /// The first of those with one more field; the others are its siblings.
    child: u32,
    sibling: u32,
    layout: u32,
}

const ROOT: Node = Node {
    name: "",
    parent: NONE,
    child: NONE,
    sibling: NONE,
    layout: NONE,
};

/// The fields of a struct so far, in one word: the node, and the one that is most likely next.
#[derive(Clone, Copy)]
pub(super) struct Way(u64);

/// A finished struct.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LayoutId(u32);

struct Layout {
    shape: Shape,
    /// Where in the orders; nothing if the fields come in canonical order.
    start: usize,
    end: usize,
}

impl Default for Layouts {
    fn default() -> Self {
        Self {
            nodes: vec![ROOT; ROOTS as usize],
            layouts: Vec::new(),
            orders: Vec::new(),
        }
    }
}

impl Way {
    /// Of a struct that is written like a map.
    pub(super) const NONE: Self = Self::new(NONE, NONE);

    #[inline]
    const fn new(at: u32, next: u32) -> Self {
        Self((at as u64) << 32 | next as u64)
    }

    #[inline]
    const fn at(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    const fn next(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.at() == NONE
    }
}

impl Layouts {
    /// Begins a struct.
    #[inline]
    pub(super) fn begin(&self, name: &'static str) -> Way {
        // Names lie in a row, a few bytes each. Any spreading of them will do.
        let address = name.as_ptr().addr() as u32;
        let at = ((address >> 2) ^ (address >> 8)) % ROOTS;
        let next = self.nodes[at as usize].child;
        Way::new(at, next)
    }

    /// One more field, if that is what was likely.
    #[inline]
    pub(super) fn step(&self, way: Way, name: &'static str) -> Option<Way> {
        match self.nodes.get(way.next() as usize) {
            Some(node) if std::ptr::eq(node.name, name) => Some(Way::new(way.next(), node.child)),
            _ => None,
        }
    }

    /// One more field, which may be new. `None`: there is no memory for more.
    pub(super) fn step_aside(&mut self, way: Way, name: &'static str) -> Option<Way> {
        let mut next = self.nodes.get(way.at() as usize)?.child;
        while let Some(node) = self.nodes.get(next as usize) {
            if std::ptr::eq(node.name, name) {
                return Some(Way::new(next, node.child));
            }
            next = node.sibling;
        }
        if self.is_full() {
            return None;
        }
        let new = self.nodes.len() as u32;
        let parent = self.nodes.get_mut(way.at() as usize)?;
        let sibling = std::mem::replace(&mut parent.child, new);
        self.nodes.push(Node {
            name,
            parent: way.at(),
            sibling,
            ..ROOT
        });
        Some(Way::new(new, NONE))
    }

    /// What a struct that ends here comes to, if one has before.
    #[inline]
    pub(super) fn get(&self, way: Way) -> Option<LayoutId> {
        let node = self.nodes.get(way.at() as usize)?;
        (node.layout != NONE).then_some(LayoutId(node.layout))
    }

    pub(super) fn set(&mut self, way: Way, shape: Shape, order: &[u32]) -> LayoutId {
        let start = self.orders.len();
        self.orders.extend_from_slice(order);
        let end = self.orders.len();
        let new = self.layouts.len() as u32;
        self.layouts.push(Layout { shape, start, end });
        if let Some(node) = self.nodes.get_mut(way.at() as usize) {
            node.layout = new;
        }
        LayoutId(new)
    }

    #[inline]
    pub(super) fn shape(&self, id: LayoutId) -> &Shape {
        &self.layouts[id.0 as usize].shape
    }

    /// For each place in the canonical order, which of the fields as they come stands there;
    /// nothing if all of them stay where they are.
    #[inline]
    pub(super) fn order(&self, id: LayoutId) -> &[u32] {
        let layout = &self.layouts[id.0 as usize];
        &self.orders[layout.start..layout.end]
    }

    /// The names of the fields so far.
    pub(super) fn names(&self, way: Way) -> Vec<&'static str> {
        let mut names = Vec::new();
        let mut at = way.at();
        while let Some(node) = self.nodes.get(at as usize)
            && at >= ROOTS
        {
            names.push(node.name);
            at = node.parent;
        }
        names.reverse();
        names
    }

    /// Forgets everything if there is no memory for more.
    #[inline]
    pub(super) fn reset(&mut self) {
        if self.is_full() {
            *self = Self::default();
        }
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.nodes.len() >= NODES || self.orders.len() >= ORDERS
    }
}
