//! What LZ4 itself takes, as the runtime calls it, beside a copy of the same bytes.

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use super::answers::Kind;
use crate::{effort::Effort, fit::median};

/// So many bytes are worked on in a turn, in as many records as that takes.
const A_TURN: usize = 256 * 1024;

pub(super) fn print(kind: Kind, effort: Effort) {
    println!(
        "\n| {} | ÷ plain | compress | expand | copy it |",
        kind.name()
    );
    println!("| --- | --- | --- | --- | --- |");
    for &(bytes, _) in effort.options {
        let record = kind.record(bytes);
        let (plain, block) = (record.len(), compressed(&record));
        let times = 1 + A_TURN / plain;
        let (mut compress, mut expand, mut copy) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.block_rounds {
            compress.push(micros(times, || compressed(&record)));
            expand.push(micros(times, || expanded(&block, plain)));
            copy.push(micros(times, || Bytes::copy_from_slice(&record)));
        }
        println!(
            "| {plain} B | {:.2} | {:.2} µs | {:.2} µs | {:.2} µs |",
            block.len() as f64 / plain as f64,
            median(&compress),
            median(&expand),
            median(&copy),
        );
    }
}

fn compressed(record: &Bytes) -> Bytes {
    let mut block = vec![0; get_maximum_output_size(record.len())];
    let length = compress_into(record, &mut block).unwrap();
    Bytes::copy_from_slice(&block[..length])
}

fn expanded(block: &[u8], plain: usize) -> Bytes {
    let mut expanded = vec![0; plain];
    assert_eq!(decompress_into(block, &mut expanded).unwrap(), plain);
    expanded.into()
}

fn micros(times: usize, mut work: impl FnMut() -> Bytes) -> f64 {
    let started = Instant::now();
    for _ in 0..times {
        black_box(work());
    }
    started.elapsed().as_secs_f64() * 1e6 / times as f64
}
