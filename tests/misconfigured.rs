//! A set-up that cannot work is found when the runtime is built, and named.

use std::time::Duration;

use axum::Json;
use idem_axum::{
    BuildError, EndpointProblem, Idempotency, IdempotencyLayer, MemoryStore, Policy, PolicyError,
    idempotent,
};

#[idempotent(ttl = "20s", scope = "tenant")]
async fn with_a_scope(Json(order): Json<u32>) -> Json<u32> {
    Json(order)
}

const LINE_OF_WITH_A_SCOPE: u32 = line!() - 5;

fn tenant() -> idem_axum::IdempotencyBuilder {
    let policy = Policy {
        lease: Duration::from_secs(5),
        ..Policy::default()
    };
    Idempotency::builder(MemoryStore::new())
        .policy(policy)
        .scope("tenant", |_| None)
}

#[test]
fn a_scope_without_a_resolver_is_named_with_its_handler() {
    let _ = with_a_scope;
    let error = Idempotency::builder(MemoryStore::new())
        .scope("user", |_| None)
        .build()
        .unwrap_err();
    let BuildError::Endpoints(endpoints) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(endpoints.len(), 1);
    assert!(matches!(
        &endpoints[0].reason,
        EndpointProblem::UnknownScope { scope, known } if scope == "tenant" && known == &["user"]
    ));
    let text = error.to_string();
    assert!(text.contains("misconfigured::with_a_scope"), "{text}");
    assert!(
        text.contains(&format!("tests/misconfigured.rs:{LINE_OF_WITH_A_SCOPE}")),
        "{text}"
    );
    assert!(text.contains("registered: \"user\""), "{text}");
    // What a program shows whose `main` returns it.
    assert_eq!(format!("{error:?}"), text);
}

#[test]
fn a_lease_that_the_policy_makes_too_long_for_a_handler_is_named_with_it() {
    let policy = Policy {
        lease: Duration::from_secs(20),
        ..Policy::default()
    };
    let error = tenant().policy(policy).build().unwrap_err().to_string();
    assert!(error.contains("misconfigured::with_a_scope"), "{error}");
    assert!(error.contains("not shorter than the ttl"), "{error}");
}

#[test]
fn a_policy_that_protects_nothing_is_refused() {
    let zero = Policy {
        ttl: Duration::ZERO,
        ..Policy::default()
    };
    assert_eq!(
        tenant().policy(zero).build().unwrap_err(),
        BuildError::Policy(PolicyError::ZeroTtl)
    );
}

#[test]
fn two_resolvers_of_one_name_are_refused() {
    let twice = tenant().scope("tenant", |_| None).build().unwrap_err();
    assert_eq!(
        twice,
        BuildError::ScopeTwice {
            name: "tenant".to_owned()
        }
    );
    let global = tenant().scope("global", |_| None).build().unwrap_err();
    assert!(matches!(global, BuildError::ScopeName { .. }));
}

#[test]
fn an_address_that_cannot_be_sent_is_refused() {
    for url in ["https://e.com/\n", "https://e.com/>;"] {
        let error = tenant().documentation(url).build().unwrap_err();
        assert!(
            matches!(error, BuildError::DocumentationUrl { .. }),
            "{url:?}"
        );
    }
}

#[test]
fn a_layer_is_checked_when_it_is_built_and_named_by_its_place() {
    let idempotency = tenant().build().unwrap();
    let hour = Duration::from_secs(3600);
    let line = line!() + 1;
    let unknown = IdempotencyLayer::builder(&idempotency, hour)
        .scope("tenat")
        .build();
    let text = unknown.unwrap_err().to_string();
    assert!(text.contains(&format!("misconfigured.rs:{line}")), "{text}");
    assert!(text.contains("\"tenat\""), "{text}");

    let header = IdempotencyLayer::builder(&idempotency, hour)
        .scope("tenant")
        .header("not a header")
        .build();
    assert!(header.unwrap_err().to_string().contains("not a header"));
    let zero = IdempotencyLayer::builder(&idempotency, Duration::ZERO).global_scope();
    assert!(zero.build().is_err());
}

#[test]
fn a_runtime_for_some_modules_does_not_look_at_the_others() {
    let of = |module| {
        Idempotency::builder(MemoryStore::new())
            .only_modules([module])
            .build()
    };
    assert!(of("misconf").is_ok());
    assert!(of("misconfigured::elsewhere").is_ok());
    assert!(of("misconfigured").is_err());
}
