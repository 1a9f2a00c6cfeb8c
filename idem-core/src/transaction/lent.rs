//! A value that comes back when its borrower drops it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

/// Lends `value`: to the borrower the value, to the lender the right to have it back.
///
/// ```
/// use idem_core::lend;
///
/// let (mut borrowed, loan) = lend(String::from("a"));
/// borrowed.push('b');
/// drop(borrowed);
/// assert_eq!(loan.recover().as_deref(), Some("ab"));
/// ```
pub fn lend<T>(value: T) -> (Lent<T>, Loan<T>) {
    let place = Arc::new(Mutex::new(Place::Away));
    let loan = Loan(Arc::clone(&place));
    let value = Some(value);
    (Lent { value, place }, loan)
}

enum Place<T> {
    Away,
    Back(T),
    /// Nobody waits for it any more.
    GivenUp,
}

/// A lent value. Dropped, it goes back to its lender, or is dropped if the
/// lender has given it up.
pub struct Lent<T> {
    /// `None` only while it is being dropped.
    value: Option<T>,
    place: Arc<Mutex<Place<T>>>,
}

/// The right to have a lent value back.
pub struct Loan<T>(Arc<Mutex<Place<T>>>);

impl<T> Loan<T> {
    /// The value, or `None` while somebody still has it: it is given up then,
    /// and dropped as soon as they drop it.
    #[must_use]
    pub fn recover(self) -> Option<T> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::GivenUp) {
            Place::Back(value) => Some(value),
            Place::Away | Place::GivenUp => None,
        }
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Place::Away, Some(value)) = (&*place, self.value.take()) {
            *place = Place::Back(value);
        }
    }
}

#[allow(
    clippy::expect_used,
    reason = "the value is taken in `drop` only, after which nobody can reach it"
)]
impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is not being dropped")
    }
}

#[allow(
    clippy::expect_used,
    reason = "the value is taken in `drop` only, after which nobody can reach it"
)]
impl<T> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is not being dropped")
    }
}

impl<T: fmt::Debug> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&**self).finish()
    }
}

impl<T> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loan")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_back_in_time_never_comes_back() {
        let value = Arc::new(());
        let (borrowed, loan) = lend(Arc::clone(&value));
        assert!(loan.recover().is_none());
        assert_eq!(Arc::strong_count(&value), 2);
        drop(borrowed);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_panic_gives_it_back() {
        let (borrowed, loan) = lend(1);
        let panicked = std::panic::catch_unwind(move || {
            let _borrowed = borrowed;
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        assert_eq!(loan.recover(), Some(1));
    }
}
