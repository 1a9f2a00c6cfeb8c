use axum::{
    Json, Router,
    extract::{FromRef, State},
    routing::{MethodRouter, delete, get, post, put},
};
use idem_axum::{Idempotency, MemoryStore, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    admin: Admin,
}

#[derive(Clone, FromRef)]
struct Admin {
    idempotency: Idempotency,
    name: &'static str,
}

#[idempotent(ttl = "24h", scope = "global")]
async fn create(State(_): State<App>, Json(amount): Json<u32>) -> Json<u32> {
    Json(amount)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn replace(Json(amount): Json<u32>) -> Json<u32> {
    Json(amount)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn remove() -> &'static str {
    "gone"
}

#[idempotent(ttl = "24h", scope = "global")]
async fn admin(State(name): State<&'static str>) -> &'static str {
    name
}

async fn list() -> &'static str {
    "none"
}

fn methods() -> MethodRouter<App> {
    post(create).put(replace).delete(remove).get(list)
}

fn nested() -> Router<App> {
    Router::new().route("/", put(replace).merge(delete(remove)))
}

fn with_a_state_of_its_own(admin_state: Admin) -> Router<App> {
    Router::new()
        .route("/", post(admin))
        .with_state(admin_state)
}

fn main() {
    let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
    let admin = Admin {
        idempotency: idempotency.clone(),
        name: "root",
    };
    let app: Router = Router::new()
        .route("/payments", methods())
        .route("/one", get(list).post(create))
        .nest("/nested", nested())
        .nest("/admin", with_a_state_of_its_own(admin.clone()))
        .merge(Router::new().route("/merged", post(replace)))
        .nest_service(
            "/service",
            Router::new()
                .route("/", post(remove))
                .with_state(admin.clone()),
        )
        .fallback(replace)
        .with_state(App { idempotency, admin });
    drop(app);
}
