//! Ports on 127.0.0.1 that no other test takes.
//!
//! They lie below the range of which the kernel takes ports for outgoing connections. Tests run in
//! parallel processes, and a server that was killed wants its port back: each process claims whole
//! blocks of ports, by listening on the first port of the block for as long as it lives.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

const FIRST: u16 = 20_000;
const BLOCK: u16 = 50;
const BLOCKS: u16 = 240;

/// What this process has claimed.
struct Claimed {
    claims: Vec<TcpListener>,
    next: u16,
    end: u16,
}

static CLAIMED: Mutex<Claimed> = Mutex::new(Claimed {
    claims: Vec::new(),
    next: 0,
    end: 0,
});

/// A free port, never given twice in this process.
///
/// # Panics
///
/// When all ports of the range are taken.
#[must_use]
pub fn free() -> u16 {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if claimed.next == claimed.end {
            claimed.claim();
        }
        let port = claimed.next;
        claimed.next += 1;
        // Other programs know nothing of blocks.
        if listen(port).is_some() {
            return port;
        }
    }
}

impl Claimed {
    fn claim(&mut self) {
        let start = rand::random_range(0..BLOCKS);
        let (base, claim) = (0..BLOCKS)
            .map(|step| FIRST + (start + step) % BLOCKS * BLOCK)
            .find_map(|base| Some((base, listen(base)?)))
            .expect("no free block of ports");
        self.claims.push(claim);
        (self.next, self.end) = (base + 1, base + BLOCK);
    }
}

fn listen(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}
