//! idem over Redis or Valkey.

mod builder;
mod checks;
mod commands;
mod connect;
mod error;
mod layout;
mod list;
mod reply;
mod scripts;
mod store;
#[cfg(feature = "tls")]
mod tls;

pub use self::{
    builder::RedisStoreBuilder, checks::Hazard, error::SetupError, layout::LayoutError,
    store::RedisStore,
};
