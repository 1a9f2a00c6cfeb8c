//! From which length on it pays to compress what is stored: what LZ4 takes, and what becomes of
//! an execution and of a replay on each store.

use idem_axum::Compression;
use idem_core::RuntimeBuilder;
use tokio::runtime::Builder;

use super::{answers::Kind, block, stores, stores::Stores, through};
use crate::effort::Effort;

/// Whatever the length.
fn compressing(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder.compress(Compression::from(0))
}

pub(crate) fn compare(effort: Effort) {
    for kind in [Kind::Json, Kind::Random] {
        block::print(kind, effort);
    }
    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let stores = Stores::start().await;
        for kind in [Kind::Json, Kind::Random] {
            stores.print(kind, "compressed", compressing, effort).await;
        }
        println!("\n| PostgreSQL, bytes of a record at rest | plain | compressed |");
        println!("| --- | --- | --- |");
        let pair = stores::pair(&stores.postgres, compressing);
        for &(bytes, _) in effort.options {
            let record = Kind::Json.record(bytes);
            let [plain, compressed] = [
                through::at_rest(&stores.postgres, &pair[0], &record).await,
                through::at_rest(&stores.postgres, &pair[1], &record).await,
            ];
            println!("| {bytes} B | {plain} | {compressed} |");
        }
    });
}
