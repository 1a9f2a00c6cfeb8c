//! Where random numbers come from: the thread's cryptographic generator, or a
//! test's seed.

use rand::distr::{Distribution, StandardUniform};

/// Draws from the thread's generator.
#[cfg(not(feature = "testing"))]
pub(crate) fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    rand::random()
}

/// Draws from the thread's generator, or from the seed of the test that runs on
/// this thread.
#[cfg(feature = "testing")]
pub(crate) fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    use rand::RngExt;

    seeded::GENERATOR.with_borrow_mut(|generator| match generator {
        Some(seeded) => seeded.random(),
        None => rand::random(),
    })
}

#[cfg(feature = "testing")]
pub(crate) mod seeded {
    use std::{cell::RefCell, fmt, marker::PhantomData};

    use rand::{SeedableRng, rngs::StdRng};

    thread_local! {
        pub(super) static GENERATOR: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    /// Until it is dropped, everything that the runtime draws on this thread (owners,
    /// the jitter of its pauses) comes from a seed. Together with a paused clock and a
    /// runtime of one thread, a test can be played again exactly.
    ///
    /// ```
    /// use idem_core::{OwnerId, testing::Seeded};
    ///
    /// let draw = |seed| {
    ///     let _seeded = Seeded::new(seed);
    ///     OwnerId::random()
    /// };
    /// assert_eq!(draw(7), draw(7));
    /// assert_ne!(draw(7), draw(8));
    /// assert_ne!(OwnerId::random(), OwnerId::random());
    /// ```
    pub struct Seeded {
        /// It is of the thread on which it was made.
        of_this_thread: PhantomData<*const ()>,
    }

    impl Seeded {
        /// Starts to draw from `seed`, instead of an earlier one if there is one.
        #[must_use]
        pub fn new(seed: u64) -> Self {
            GENERATOR.set(Some(StdRng::seed_from_u64(seed)));
            Self {
                of_this_thread: PhantomData,
            }
        }
    }

    impl Drop for Seeded {
        fn drop(&mut self) {
            GENERATOR.set(None);
        }
    }

    impl fmt::Debug for Seeded {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _: PhantomData<*const ()> = self.of_this_thread;
            f.debug_struct("Seeded").finish_non_exhaustive()
        }
    }
}
