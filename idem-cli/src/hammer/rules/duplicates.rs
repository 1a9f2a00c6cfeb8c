//! Rounds of one key each: duplicates in the same instant, then retries one after the other.
//! Four rules are judged by them.

use super::{
    super::{
        answer::{Answer, Kind, Reply},
        budget::Stop,
        effects::Effects,
        session::Session,
        verdict::Finding,
    },
    conflict_while_running, executed_once, replay_marked, same_answer,
};

/// Retries when the duplicates have been answered.
const RETRIES: usize = 3;

/// What one key was answered.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) key: String,
    pub(super) volley: Vec<Reply>,
    /// The first of them was sent until it was served.
    pub(super) retries: Vec<Reply>,
    pub(super) effects: Effects,
}

impl Round {
    pub(super) fn replies(&self) -> impl Iterator<Item = &Reply> {
        self.volley.iter().chain(&self.retries)
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.replies().flatten()
    }

    /// The answer that all others are to be like: the first execution's, else the first result's.
    pub(super) fn reference(&self) -> Option<&Answer> {
        let of = |kind| self.answers().find(move |answer| answer.kind() == kind);
        of(Kind::Executed).or_else(|| of(Kind::Replayed))
    }
}

pub(super) async fn try_all(session: &mut Session) -> Vec<Finding> {
    let (rounds, stop) = gather(session).await;
    [
        executed_once::judge(&rounds),
        same_answer::judge(&rounds, &session.comparison),
        replay_marked::judge(&rounds),
        conflict_while_running::judge(&rounds),
    ]
    .map(|finding| finding.cut_short(stop))
    .into()
}

async fn gather(session: &mut Session) -> (Vec<Round>, Option<Stop>) {
    let mut rounds = Vec::new();
    for _ in 0..session.rounds {
        let mut round = Round {
            key: session.fresh_key(),
            volley: Vec::new(),
            retries: Vec::new(),
            effects: match session.effects {
                None => Effects::Unasked,
                Some(_) => Effects::Unreadable("the run was cut short".to_owned()),
            },
        };
        let done = fill(session, &mut round).await;
        // Also a round that was cut short may have seen something broken.
        rounds.push(round);
        session.progress.step();
        if let Err(stop) = done {
            return (rounds, Some(stop));
        }
    }
    (rounds, None)
}

async fn fill(session: &mut Session, round: &mut Round) -> Result<(), Stop> {
    let request = session.template.request(&round.key);
    round.volley = session.client.volley(&request, session.duplicates).await?;
    round.retries.push(session.insist(&request).await?);
    while round.retries.len() < RETRIES {
        round.retries.push(session.send(request.clone()).await?);
    }
    round.effects = session.new_effects(1).await?;
    Ok(())
}

#[cfg(test)]
pub(super) mod synthetic {
    use super::*;

    /// A round without an effects URL.
    pub(crate) fn round(volley: Vec<Answer>, retries: Vec<Answer>) -> Round {
        Round {
            key: "k".to_owned(),
            volley: volley.into_iter().map(Ok).collect(),
            retries: retries.into_iter().map(Ok).collect(),
            effects: Effects::Unasked,
        }
    }

    impl Round {
        pub(crate) fn effects(mut self, count: i64) -> Self {
            self.effects = Effects::Counted(count);
            self
        }

        pub(crate) fn and(mut self, reply: Reply) -> Self {
            self.volley.push(reply);
            self
        }
    }
}
