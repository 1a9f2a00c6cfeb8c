//! What it takes to seal what is stored.

use idem_axum::encryption::{Key, Keyring};
use idem_core::RuntimeBuilder;
use tokio::runtime::Builder;

use super::{answers::Kind, stores::Stores};
use crate::effort::Effort;

fn sealing(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder.encryption(Keyring::new(Key::new("2026-11", &[11; 32]).unwrap()))
}

pub(crate) fn compare(effort: Effort) {
    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let stores = Stores::start().await;
        stores.print(Kind::Json, "sealed", sealing, effort).await;
    });
}
