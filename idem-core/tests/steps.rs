//! Recovery points: a finished step never runs again, and an owner that was
//! replaced does no more harm.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use common::{AMBIGUOUS, LAPSE, LEASE, Node, Outcome, PATIENCE, in_progress, ran, replayed, until};
use idem_core::{
    Execution, Finish, MAX_STEPS_BYTES, MemoryStore, OnStoreError, OnceError, Overrides, Runtime,
    Scope, StepError, Steps, StepsError, Stop, Stored,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::sleep,
};

#[derive(Debug, PartialEq)]
struct Declined;

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("declined")
    }
}

impl std::error::Error for Declined {}

type Failure = StepError<Declined>;

/// What has happened outside, by step.
#[derive(Clone, Default)]
struct World {
    effects: Arc<Mutex<HashMap<String, usize>>>,
    /// Where work waits, one permit a pass.
    gate: Arc<Gate>,
}

struct Gate {
    arrived: AtomicUsize,
    open: Semaphore,
    changed: Notify,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            arrived: AtomicUsize::new(0),
            open: Semaphore::new(0),
            changed: Notify::new(),
        }
    }
}

impl World {
    fn happens(&self, step: &str) -> usize {
        let mut effects = self.effects.lock().unwrap();
        let count = effects.entry(step.to_owned()).or_default();
        *count += 1;
        *count
    }

    fn count(&self, step: &str) -> usize {
        let effects = self.effects.lock().unwrap();
        effects.get(step).copied().unwrap_or_default()
    }

    /// A step whose result says how often it has happened.
    async fn step(&self, steps: &Steps, name: &str) -> Result<String, Failure> {
        let (world, step) = (self.clone(), name.to_owned());
        steps
            .run(name, || async move {
                let count = world.happens(&step);
                Ok(format!("{step} {count}"))
            })
            .await
    }

    /// Waits until the test lets it go on.
    async fn pause(&self) {
        self.gate.arrived.fetch_add(1, SeqCst);
        self.gate.changed.notify_waiters();
        self.gate.open.acquire().await.unwrap().forget();
    }

    async fn until_paused(&self, times: usize) {
        until(|| self.gate.arrived.load(SeqCst) >= times).await;
    }

    fn go_on(&self) {
        self.gate.open.add_permits(1);
    }
}

/// Runs `work` under Ana's key `k`. An `Ok` is recorded, an error is not.
fn work<F>(
    node: &Node,
    work: impl FnOnce(Steps) -> F + Send + 'static,
) -> impl Future<Output = Outcome> + Send + 'static
where
    F: Future<Output = Result<String, Failure>> + Send + 'static,
{
    let call = node.call("ana", "k", "5");
    node.runtime.execute_in_steps(call, move |steps| {
        let work = work(steps);
        async move {
            match work.await {
                Ok(answer) => Finish::Record {
                    record: Bytes::from(answer.clone()),
                    answer,
                },
                Err(error) => Finish::Release {
                    answer: format!("{error:?}"),
                },
            }
        }
    })
}

/// Reserve, charge, ship; `pause` stops before the step of that name.
fn order(
    node: &Node,
    world: &World,
    pause: &'static str,
) -> impl Future<Output = Outcome> + Send + 'static {
    let world = world.clone();
    work(node, move |steps| async move {
        let mut done = Vec::new();
        for step in ["reserve", "charge", "ship"] {
            if step == pause {
                world.pause().await;
            }
            done.push(world.step(&steps, step).await?);
        }
        Ok(format!("{} in {}", done.join(", "), steps.attempt()))
    })
}

/// A node whose heart has stopped, and one that takes over from it.
fn two_nodes() -> (Node, Node) {
    let node = Node::new();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let peer = node.peer();
    (node, peer)
}

#[tokio::test(start_paused = true)]
async fn a_takeover_goes_on_where_the_other_has_left_off() {
    let (node, peer) = two_nodes();
    let world = World::default();
    let stale = tokio::spawn(order(&node, &world, "charge"));
    world.until_paused(1).await;
    sleep(LAPSE).await;

    let retry = order(&peer, &world, "").await;
    let answer = "reserve 1, charge 1, ship 1 in 2";
    assert_eq!(ran(&retry), (answer, 2, Stored::Recorded));

    // The first wakes up: it does nothing more, and its client gets the same answer.
    world.go_on();
    assert_eq!(replayed(&stale.await.unwrap()).record, answer);
    for step in ["reserve", "charge", "ship"] {
        assert_eq!(world.count(step), 1, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_is_replaced_within_a_step_cannot_keep_its_result() {
    let (node, peer) = two_nodes();
    let world = World::default();
    let stale = {
        let world = world.clone();
        tokio::spawn(work(&node, move |steps| async move {
            let within = world.clone();
            steps
                .run("charge", || async move {
                    within.pause().await;
                    within.happens("charge by the first");
                    Ok("first".to_owned())
                })
                .await?;
            world.step(&steps, "ship").await
        }))
    };
    world.until_paused(1).await;
    sleep(LAPSE).await;
    let retry = {
        let world = world.clone();
        work(&peer, move |steps| async move {
            let charged = world.step(&steps, "charge").await?;
            Ok(format!("{charged}, {}", world.step(&steps, "ship").await?))
        })
        .await
    };
    assert_eq!(ran(&retry).0, "charge 1, ship 1");
    world.go_on();
    assert_eq!(replayed(&stale.await.unwrap()).record, "charge 1, ship 1");
    // The interrupted step may happen again, and nothing after it did.
    assert_eq!(world.count("charge by the first"), 1);
    assert_eq!(world.count("ship"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ran_out_is_renewed_before_the_next_step_if_nobody_took_it() {
    let (node, _) = two_nodes();
    let world = World::default();
    let slow = tokio::spawn(order(&node, &world, "charge"));
    world.until_paused(1).await;
    sleep(LAPSE).await;
    node.store.plan().clear();
    let renewals = node.store.plan().calls(Verb::Renew);
    world.go_on();
    let outcome = slow.await.unwrap();
    assert_eq!(
        ran(&outcome),
        ("reserve 1, charge 1, ship 1 in 1", 1, Stored::Recorded)
    );
    assert!(node.store.plan().calls(Verb::Renew) > renewals);
}

/// As when the process stands still between the reply and reading it.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_answered_after_the_lease_begins_no_step() {
    let store = ChaosStore::new(Arc::default());
    let node = Node::built(store, |builder| {
        builder.store_deadline(PATIENCE).store_try_timeout(PATIENCE)
    });
    let (peer, world) = (node.peer(), World::default());
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let stale = tokio::spawn(order(&node, &world, "charge"));
    world.until_paused(1).await;
    sleep(LAPSE).await;
    let late = Fault::DelayAfter(2 * LAPSE);
    node.store.plan().always(Verb::Renew, late);
    world.go_on();
    sleep(LAPSE).await;
    let retry = order(&peer, &world, "").await;
    assert_eq!(ran(&retry).0, "reserve 1, charge 1, ship 1 in 2");
    let outcome = stale.await.unwrap();
    assert_eq!(
        replayed(&outcome).record,
        "reserve 1, charge 1, ship 1 in 2"
    );
    assert_eq!(world.count("charge"), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_does_not_say_whose_the_slot_is_no_step_runs() {
    let (node, _) = two_nodes();
    let world = World::default();
    let slow = tokio::spawn(order(&node, &world, "charge"));
    world.until_paused(1).await;
    sleep(LAPSE).await;
    world.go_on();
    let stopped = slow.await.unwrap();
    assert!(
        matches!(stopped, Execution::Stopped(Stop::Store)),
        "{stopped:?}"
    );
    assert_eq!(world.count("charge"), 0);

    let retry = order(&node.peer(), &world, "").await;
    assert_eq!(ran(&retry).0, "reserve 1, charge 1, ship 1 in 2");
}

#[tokio::test(start_paused = true)]
async fn a_released_attempt_leaves_its_finished_steps_to_the_next() {
    let node = Node::new();
    let world = World::default();
    for attempt in 1..=3 {
        let world = world.clone();
        let outcome = work(&node, move |steps| async move {
            world.step(&steps, "reserve").await?;
            let failing = world.clone();
            steps
                .run("charge", || async move {
                    failing.happens("charge");
                    Err::<(), _>(Declined)
                })
                .await?;
            unreachable!("it was declined");
        })
        .await;
        assert_eq!(ran(&outcome), ("Work(Declined)", attempt, Stored::Released));
    }
    assert_eq!((world.count("reserve"), world.count("charge")), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_failed_may_be_tried_again_at_once() {
    let node = Node::new();
    let world = World::default();
    let outcome = work(&node, move |steps| async move {
        let failed = steps
            .run("charge", || async { Err::<u32, _>(Declined) })
            .await;
        assert!(matches!(failed, Err(StepError::Work(Declined))));
        // And one that was given up.
        let hung = steps.run("charge", std::future::pending::<Result<u32, Declined>>);
        assert!(tokio::time::timeout(LEASE, hung).await.is_err());
        assert!(!steps.is_finished("charge"));
        let charged = world.step(&steps, "charge").await?;
        assert!(steps.is_finished("charge"));
        Ok(charged)
    })
    .await;
    assert_eq!(ran(&outcome).0, "charge 1");
}

#[tokio::test(start_paused = true)]
async fn two_steps_of_one_name_end_the_execution_and_nothing_is_recorded() {
    let node = Node::new();
    let world = World::default();
    let twice = {
        let world = world.clone();
        work(&node, move |steps| async move {
            world.step(&steps, "charge").await?;
            let error = world.step(&steps, "charge").await.unwrap_err();
            assert!(
                matches!(&error, StepError::Steps(StepsError::Twice { step }) if step == "charge"),
                "{error:?}"
            );
            // What it answers all the same is not kept.
            Ok("fine".to_owned())
        })
        .await
    };
    assert!(
        matches!(twice, Execution::Stopped(Stop::Steps)),
        "{twice:?}"
    );
    assert_eq!(world.count("charge"), 1);
    let retry = {
        let world = world.clone();
        work(&node, move |steps| async move {
            world.step(&steps, "charge").await
        })
        .await
    };
    assert_eq!(ran(&retry), ("charge 1", 2, Stored::Recorded));
}

/// The first version of a service runs `first`, and crashes; the next runs `second`.
async fn deployed<F, G>(
    first: impl FnOnce(Steps, World) -> F + Send + 'static,
    second: impl FnOnce(Steps, World) -> G + Send + 'static,
) -> (Outcome, World)
where
    F: Future<Output = Result<String, Failure>> + Send + 'static,
    G: Future<Output = Result<String, Failure>> + Send + 'static,
{
    let (node, world) = (Node::new(), World::default());
    let crashing = world.clone();
    let outcome = work(&node, move |steps| async move {
        first(steps, crashing).await?;
        Err(StepError::Work(Declined))
    })
    .await;
    assert_eq!(ran(&outcome).2, Stored::Released);
    let going_on = world.clone();
    let outcome = work(&node, move |steps| second(steps, going_on)).await;
    (outcome, world)
}

#[tokio::test(start_paused = true)]
async fn a_renamed_step_is_an_error_and_not_a_second_execution() {
    let (outcome, world) = deployed(
        |steps, world| async move { world.step(&steps, "charge").await },
        |steps, world| async move {
            let error = world.step(&steps, "charge-card").await.unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("finished the step \"charge\"")
                    && text.contains("retire(\"charge\")"),
                "{text}"
            );
            Err(error)
        },
    )
    .await;
    assert!(
        matches!(outcome, Execution::Stopped(Stop::Steps)),
        "{outcome:?}"
    );
    assert_eq!(world.count("charge-card"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_gone_can_be_retired() {
    let (outcome, _) = deployed(
        |steps, world| async move {
            world.step(&steps, "reserve").await?;
            world.step(&steps, "mail").await
        },
        |steps, world| async move {
            world.step(&steps, "reserve").await?;
            steps.retire("mail");
            world.step(&steps, "ship").await
        },
    )
    .await;
    assert_eq!(ran(&outcome).0, "ship 1");
}

#[tokio::test(start_paused = true)]
async fn a_step_of_another_type_is_an_error_and_no_wrong_value() {
    let (outcome, _) = deployed(
        |steps, _| async move {
            let cents = steps
                .run("price", || async { Ok::<u32, Declined>(1250) })
                .await?;
            Ok(cents.to_string())
        },
        |steps, _| async move {
            let price = steps
                .run("price", || async { Ok::<f64, Declined>(99.0) })
                .await;
            let error = price.unwrap_err();
            assert!(
                matches!(&error, StepError::Steps(StepsError::OtherType { found, wanted, .. })
                    if found == "u32" && wanted == "f64"),
                "{error}"
            );
            Err(error)
        },
    )
    .await;
    assert!(
        matches!(outcome, Execution::Stopped(Stop::Steps)),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn steps_that_run_beside_one_another_need_no_order() {
    for finished in ["a", "b"] {
        let (outcome, world) = deployed(
            move |steps, world| async move { world.step(&steps, finished).await },
            |steps, world| async move {
                let (a, b) = tokio::join!(world.step(&steps, "a"), world.step(&steps, "b"));
                let (a, b) = (a?, b?);
                let c = world.step(&steps, "c").await?;
                Ok(format!("{a}, {b}, {c}"))
            },
        )
        .await;
        assert_eq!(ran(&outcome).0, "a 1, b 1, c 1", "{finished} was finished");
        assert_eq!(world.count(finished), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_large_is_given_once_and_never_made_again() {
    let large = |steps: Steps, world: World| async move {
        let result = steps
            .run("export", || async move {
                world.happens("export");
                Ok::<_, Declined>("x".repeat(MAX_STEPS_BYTES))
            })
            .await?;
        Ok(result.len().to_string())
    };
    let (outcome, world) = deployed(large, move |steps, world| async move {
        let error = large(steps, world).await.unwrap_err();
        assert!(
            matches!(&error, StepError::Steps(StepsError::NotRetained { step }) if step == "export"),
            "{error}"
        );
        Err(error)
    })
    .await;
    assert!(
        matches!(outcome, Execution::Stopped(Stop::Steps)),
        "{outcome:?}"
    );
    assert_eq!(world.count("export"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_store_did_not_keep_ends_the_execution() {
    let node = Node::new();
    let world = World::default();
    node.store
        .plan()
        .always(Verb::Checkpoint, Fault::FailBefore);
    let outcome = {
        let world = world.clone();
        work(&node, move |steps| async move {
            assert!(world.step(&steps, "charge").await.is_err());
            Ok("charged all the same".to_owned())
        })
        .await
    };
    assert!(
        matches!(outcome, Execution::Stopped(Stop::Store)),
        "{outcome:?}"
    );
    node.store.plan().clear();
    // The step was interrupted, so it runs again, with the same key downstream.
    let retry = {
        let world = world.clone();
        work(&node, move |steps| async move {
            world.step(&steps, "charge").await
        })
        .await
    };
    assert_eq!(ran(&retry), ("charge 2", 2, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn i8_a_lost_reply_to_a_checkpoint_is_one_checkpoint() {
    for fault in AMBIGUOUS {
        let node = Node::new();
        let world = World::default();
        node.store.plan().next(Verb::Checkpoint, fault);
        let outcome = order(&node, &world, "").await;
        assert_eq!(
            ran(&outcome),
            ("reserve 1, charge 1, ship 1 in 1", 1, Stored::Recorded),
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn i7_a_client_that_goes_away_in_a_step_stops_nothing() {
    let node = Node::new();
    let world = World::default();
    let request = tokio::spawn(order(&node, &world, "charge"));
    world.until_paused(1).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert!(in_progress(&order(&node, &world, "").await) > Duration::ZERO);
    world.go_on();
    until(|| world.count("ship") == 1).await;
    let retry = loop {
        match order(&node, &world, "").await {
            Execution::InProgress { .. } => sleep(Duration::from_millis(1)).await,
            other => break other,
        }
    };
    assert_eq!(replayed(&retry).record, "reserve 1, charge 1, ship 1 in 1");
}

/// The key of a step downstream, as work on this node sees it.
async fn downstream(node: &Node, user: &str, payload: &str) -> String {
    let call = node.call(user, "k", payload);
    let execution = node.runtime.execute_in_steps(call, |steps| async move {
        Finish::Release {
            answer: steps.key("charge"),
        }
    });
    match execution.await {
        Execution::Ran { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_downstream_key_is_the_same_in_every_attempt_and_process() {
    let node = Node::new();
    let first = downstream(&node, "ana", "5").await;
    assert_eq!(downstream(&node, "ana", "5").await, first);
    assert_eq!(downstream(&node.peer(), "ana", "5").await, first);
    // Also once the slot is deleted and the client's key used again: it is the same intent.
    assert_eq!(downstream(&Node::new(), "ana", "5").await, first);
    assert_ne!(downstream(&Node::new(), "ana", "6").await, first);
    assert_ne!(downstream(&Node::new(), "bob", "5").await, first);
    assert_eq!(first.len(), 36);
}

#[tokio::test(start_paused = true)]
async fn work_that_runs_without_protection_runs_all_its_steps() {
    let node = Node::new().with(Overrides {
        store_error: Some(OnStoreError::FailOpen),
        ..Overrides::NONE
    });
    node.store.plan().always(Verb::Claim, Fault::FailBefore);
    let world = World::default();
    let outcome = {
        let world = world.clone();
        work(&node, move |steps| async move {
            assert_eq!(steps.lease().fence(), None);
            assert_ne!(steps.key("charge"), Steps::unprotected().key("charge"));
            world.step(&steps, "charge").await
        })
        .await
    };
    assert!(
        matches!(&outcome, Execution::Unprotected { answer } if answer == "charge 1"),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_lost_when_another_takes_over_and_the_work_is_told() {
    let (node, _) = two_nodes();
    let world = World::default();
    let stale = {
        let world = world.clone();
        tokio::spawn(work(&node, move |steps| async move {
            let lease = steps.lease();
            assert_eq!((lease.attempt(), lease.fence().unwrap().get()), (1, 1));
            assert!(!lease.is_lost());
            lease.lost().await;
            assert!(lease.is_lost());
            world.happens("told");
            Err(StepError::Work(Declined))
        }))
    };
    until(|| node.store.plan().calls(Verb::Claim) == 1).await;
    sleep(LEASE - Duration::from_millis(100)).await;
    assert_eq!(world.count("told"), 0);
    until(|| world.count("told") == 1).await;
    stale.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_not_lost_however_long_the_work_takes() {
    let node = Node::new();
    let outcome = work(&node, |steps| async move {
        let lease = steps.lease();
        let lost = tokio::time::timeout(5 * LEASE, lease.lost()).await;
        assert!(lost.is_err() && !lease.is_lost());
        Ok("done".to_owned())
    })
    .await;
    assert_eq!(ran(&outcome).2, Stored::Recorded);
}

#[tokio::test(start_paused = true)]
async fn what_work_has_left_behind_begins_no_step_when_it_has_ended() {
    let (node, world) = (Node::new(), World::default());
    let left_behind = world.clone();
    let outcome = work(&node, move |steps| async move {
        let (world, task_steps) = (left_behind.clone(), steps.clone());
        tokio::spawn(async move {
            world.pause().await;
            let error = world.step(&task_steps, "mail").await.unwrap_err();
            assert!(
                matches!(error, StepError::Steps(StepsError::Over { .. })),
                "{error}"
            );
            task_steps.lease().lost().await;
            world.happens("told");
        });
        left_behind.until_paused(1).await;
        Err(StepError::Work(Declined))
    })
    .await;
    assert_eq!(ran(&outcome).2, Stored::Released);
    world.go_on();
    until(|| world.count("told") == 1).await;
    assert_eq!(world.count("mail"), 0);
}

#[tokio::test(start_paused = true)]
async fn jobs_have_steps_too() {
    let store = ChaosStore::new(Arc::new(MemoryStore::new()));
    let runtime = Runtime::builder(store).build().unwrap();
    let world = World::default();
    let job = async |fails: bool| {
        let world = world.clone();
        let work = move |steps: Steps| async move {
            let reserved = world.step(&steps, "reserve").await?;
            if fails {
                return Err(StepError::Work(Declined));
            }
            Ok((reserved, steps.attempt()))
        };
        runtime
            .once_in_steps(&Overrides::NONE, "job", &Scope::GLOBAL, "j-1", &(), work)
            .await
    };
    assert!(matches!(
        job(true).await,
        Err(OnceError::Work(StepError::Work(Declined)))
    ));
    let done = job(false).await.unwrap();
    assert_eq!(
        (done.value, done.replayed),
        (("reserve 1".to_owned(), 2), false)
    );
    let again = job(false).await.unwrap();
    assert_eq!((again.value.1, again.replayed), (2, true));
}
