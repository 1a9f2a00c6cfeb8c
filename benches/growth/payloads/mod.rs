//! What a large body, whose answer is as large, takes in memory and in time: without idem, with a
//! new key, and replayed. In process and without a socket; all of it runs on this thread.

mod peak;
mod request;
mod sites;

use axum::{Router, body::Bytes};
use idem_servers::{Postgres, Redis};
use tokio::runtime::{Builder, Runtime};

use self::{
    peak::alive_at_most,
    request::{Kind, Way, send},
    sites::Site,
};
use crate::{effort::Effort, fit::median};

/// How a request is served.
struct Contestant<'a> {
    site: &'a Site,
    way: Way,
}

pub(crate) fn compare(effort: Effort) {
    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    let sites = [
        Site::memory(),
        Site::Redis(tokio.block_on(Redis::start())),
        Site::Postgres(tokio.block_on(Postgres::start())),
    ];
    let contestants: Vec<Contestant<'_>> = sites
        .iter()
        .enumerate()
        .flat_map(|(index, site)| {
            let bare = (index == 0).then_some(Way::Bare);
            let ways = bare.into_iter().chain([Way::Fresh, Way::Replay]);
            ways.map(move |way| Contestant { site, way })
        })
        .collect();
    for &(bytes, rounds) in effort.payloads {
        for kind in [Kind::Json, Kind::Bytes] {
            let payload = kind.payload(bytes);
            let alive: Vec<f64> = contestants
                .iter()
                .map(|contestant| contestant.alive(&tokio, kind, &payload))
                .collect();
            let took = take_turns(&tokio, &contestants, kind, &payload, rounds);
            eprintln!("{bytes} B as {} are done", kind.name());
            print(bytes, kind, &contestants, &alive, &took);
        }
    }
}

impl Contestant<'_> {
    fn name(&self) -> String {
        match self.way {
            Way::Bare => "bare".to_owned(),
            Way::Fresh => format!("{}, fresh key", self.site.name()),
            Way::Replay => format!("{}, replay", self.site.name()),
        }
    }

    /// The most bytes that are alive during one request, in payloads.
    fn alive(&self, tokio: &Runtime, kind: Kind, payload: &Bytes) -> f64 {
        let router = tokio.block_on(self.warm(kind));
        let key = new_key();
        if self.way == Way::Replay {
            tokio.block_on(async {
                let router = self.site.router().await;
                send(&router, (kind, Way::Fresh), &key, payload).await;
            });
        }
        let peak = alive_at_most(|| {
            tokio.block_on(send(&router, (kind, self.way), &key, payload));
        });
        peak / payload.len() as f64
    }

    /// Connected, and with all there that is made once.
    async fn warm(&self, kind: Kind) -> Router {
        let router = self.site.router().await;
        let (small, key) = (kind.payload(1), new_key());
        for way in [Way::Bare, Way::Fresh, Way::Replay] {
            send(&router, (kind, way), &key, &small).await;
        }
        router
    }
}

fn new_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The medians of their times, in ms.
fn take_turns(
    tokio: &Runtime,
    contestants: &[Contestant<'_>],
    kind: Kind,
    payload: &Bytes,
    rounds: usize,
) -> Vec<f64> {
    tokio.block_on(async {
        let mut ready = Vec::new();
        for contestant in contestants {
            let (router, key) = (contestant.warm(kind).await, new_key());
            if contestant.way == Way::Replay {
                send(&router, (kind, Way::Fresh), &key, payload).await;
            }
            ready.push((router, key));
        }
        let mut took = vec![Vec::new(); contestants.len()];
        // The first round warms up.
        for round in 0..=rounds {
            for (took, (contestant, (router, replayed))) in
                took.iter_mut().zip(contestants.iter().zip(&ready))
            {
                let key = match contestant.way {
                    Way::Replay => replayed.clone(),
                    Way::Bare | Way::Fresh => new_key(),
                };
                let time = send(router, (kind, contestant.way), &key, payload).await;
                if round > 0 {
                    took.push(time.as_secs_f64() * 1e3);
                }
            }
        }
        took.iter().map(|took| median(took)).collect()
    })
}

fn print(bytes: usize, kind: Kind, contestants: &[Contestant<'_>], alive: &[f64], took: &[f64]) {
    println!(
        "\n| {} KiB as {} | alive at most, in payloads | ÷ bare | time | ÷ bare |",
        bytes / 1024,
        kind.name()
    );
    println!("| --- | --- | --- | --- | --- |");
    for ((contestant, alive_one), took_one) in contestants.iter().zip(alive).zip(took) {
        println!(
            "| {} | {alive_one:.2} | {:.2} | {took_one:.2} ms | {:.2} |",
            contestant.name(),
            alive_one / alive[0],
            took_one / took[0],
        );
    }
}
