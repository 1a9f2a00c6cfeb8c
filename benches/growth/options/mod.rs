//! What an option of the runtime takes and saves: runtimes without it and with it take turns at
//! the same store.

mod answers;
mod block;
pub(crate) mod compression;
pub(crate) mod sealing;
pub(crate) mod secrets;
mod stores;
mod through;
