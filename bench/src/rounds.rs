//! Contestants that take turns.

use std::time::Duration;

use crate::{
    child::Child,
    contestants::Contestant,
    effort::Effort,
    error::Error,
    measure::{Window, window},
    progress::Progress,
    results::Cell,
    servers::Servers,
    summary::{Summary, median},
    workload::Workload,
};

/// All windows of one cell.
struct Course {
    contestant: Contestant,
    workload: Workload,
    connections: usize,
    windows: Vec<Window>,
}

/// Each has its turn in every round at each number of connections, and fresh processes in every round.
pub(crate) async fn run(
    contestants: &[Contestant],
    servers: &Servers,
    effort: &Effort,
    progress: &Progress,
) -> Result<(Vec<Cell>, Option<Duration>), Error> {
    let mut courses = courses(contestants, effort);
    let mut pings = Vec::new();
    for round in 0..usize::from(effort.rounds) {
        pings.extend(servers.ping().await?.map(|ping| ping.as_secs_f64()));
        let mut children = Vec::new();
        for place in turns(contestants.len(), round) {
            let contestant = contestants[place];
            let home = servers.home(contestant).await?;
            children.push(Child::start(contestant, home).await?);
        }
        for connections in effort.connections() {
            for child in &mut children {
                let contestant = child.contestant();
                progress.turn(round, connections, contestant);
                for course in courses.iter_mut().filter(|course| {
                    (course.contestant, course.connections) == (contestant, connections)
                }) {
                    let workload = course.workload;
                    let seen = window(child, servers, workload, connections, effort).await?;
                    course.windows.push(seen);
                }
                servers.empty(contestant.place()).await;
            }
        }
        for child in children {
            child.stop().await;
        }
    }
    let cells = courses
        .iter()
        .map(Course::cell)
        .collect::<Result<Vec<_>, _>>()?;
    let ping = median(&pings).map(Duration::from_secs_f64);
    Ok((cells, ping))
}

impl Course {
    fn cell(&self) -> Result<Cell, Error> {
        let silent = Error::Silent(self.contestant);
        Ok(Cell {
            contestant: self.contestant,
            workload: self.workload,
            connections: self.connections,
            summary: Summary::of(&self.windows).ok_or(silent)?,
        })
    }
}

fn courses(contestants: &[Contestant], effort: &Effort) -> Vec<Course> {
    let mut courses = Vec::new();
    for connections in effort.connections() {
        for &contestant in contestants {
            for &workload in Workload::of(contestant) {
                courses.push(Course {
                    contestant,
                    workload,
                    connections,
                    windows: Vec::new(),
                });
            }
        }
    }
    courses
}

/// Every round begins with another one, so that nobody always follows the same one.
fn turns(contestants: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..contestants).map(move |place| (place + round) % contestants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_begins_with_another() {
        let order = |round| turns(3, round).collect::<Vec<_>>();
        assert_eq!(order(0), [0, 1, 2]);
        assert_eq!(order(1), [1, 2, 0]);
        assert_eq!(order(5), [2, 0, 1]);
    }
}
