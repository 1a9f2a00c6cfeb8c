use axum::{Json, Router, routing::post};
use idem_axum::{Idempotency, idempotent};

macro_rules! handler {
    ($name:ident, $ttl:literal, $payload:ty, |$value:pat_param| $body:expr) => {
        #[idempotent(ttl = $ttl, scope = "global")]
        async fn $name(Json($value): Json<$payload>) -> String {
            $body
        }
    };
}

handler!(pay, "24h", u32, |amount| amount.to_string());
handler!(refund, "1h", (u32, String), |(amount, reason)| format!(
    "{amount} {reason}"
));

// A handler whose arguments' names come from the macro, and from its caller.
macro_rules! scoped {
    ($scope:ident) => {
        #[idempotent(ttl = "24h", scope = $scope.0)]
        async fn scoped($scope: axum::Extension<u64>, Json(amount): Json<u32>) -> String {
            format!("{} {amount}", $scope.0)
        }
    };
}

mod other {
    use super::*;

    #[derive(Clone, Copy)]
    pub struct Id;

    impl std::fmt::Display for Id {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("id")
        }
    }

    #[idempotent(ttl = "24h", scope = format_args!("{}-{}", shop.0, id))]
    pub async fn macros_in_expressions(
        shop: axum::Extension<u64>,
        axum::Extension(id): axum::Extension<Id>,
    ) -> String {
        format!("{} {id}", shop.0)
    }
}

mod hygiene {
    use super::*;

    struct Wrapped(u64);

    impl std::ops::Deref for Wrapped {
        type Target = u64;

        fn deref(&self) -> &u64 {
            &self.0
        }
    }

    macro_rules! deref {
        ($scope:ident) => {
            *Wrapped($scope.0)
        };
    }

    #[idempotent(ttl = "24h", scope = deref!(user))]
    pub async fn pay(user: axum::Extension<u64>) -> String {
        user.0.to_string()
    }
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/pay", post(pay))
        .route("/refund", post(refund))
        .route("/macros", post(other::macros_in_expressions))
        .route("/hygiene", post(hygiene::pay));
    {
        scoped!(user);
        let _: Router<Idempotency> = Router::new().route("/scoped", post(scoped));
    }
}
