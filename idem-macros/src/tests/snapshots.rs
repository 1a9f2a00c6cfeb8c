//! What representative handlers expand to, to be read. A change of the
//! expansion shows up here: look at it, then accept it with `cargo insta accept`
//! or `INSTA_UPDATE=always`.

use proc_macro2::TokenStream;

fn expand(args: &str, item: &str) -> String {
    let args: TokenStream = args.parse().unwrap();
    let expansion =
        crate::attribute::attribute(&args, &item.parse().unwrap(), "src/payments.rs:12:1");
    prettyplease::unparse(&syn::parse2(expansion).unwrap())
}

macro_rules! snapshot {
    ($name:ident, $args:literal, $item:literal) => {
        #[test]
        fn $name() {
            insta::with_settings!({ omit_expression => true, description => concat!("#[idempotent(", $args, ")]", $item) }, {
                insta::assert_snapshot!(expand($args, $item));
            });
        }
    };
}

snapshot!(
    a_payload,
    r#"ttl = "24h", scope = "user""#,
    r"
/// Creates a payment.
pub async fn create_payment(
    State(db): State<Db>,
    Json(payment): Json<CreatePayment>,
) -> Result<Json<Payment>, ApiError> {
    db.create(payment).await.map(Json)
}"
);

snapshot!(
    expressions,
    r#"ttl = "7d", grace = "1d", scope = event.account, key = event.id, fingerprint = (&event.kind, data.len())"#,
    r"
async fn receive(
    event: Verified,
    Json(Payload { data, .. }): Json<Payload>,
) -> StatusCode {
    StatusCode::OK
}"
);

snapshot!(
    deferred_and_raw,
    r#"ttl = "1h", scope = "tenant", fingerprint = "raw", wait = "5s", state = App"#,
    r"
async fn import(#[deferred] mut connection: Connection, body: Bytes) -> impl IntoResponse {
    connection.copy_in(body).await
}"
);

snapshot!(
    no_arguments,
    r#"ttl = "1h", scope = "global", key = "optional", on_crash = "refuse", crate = ::safe"#,
    r"
async fn close_the_day() -> &'static str {
    books::close().await
}"
);

snapshot!(
    a_method_that_names_self,
    r#"ttl = "24h", scope = "user""#,
    r"
#[allow(clippy::unused_async)]
#[tracing::instrument(skip_all)]
pub(crate) async fn refund(Json(order): Json<Self>) -> Json<Self> {
    Json(order)
}"
);

snapshot!(
    a_transaction_that_may_give_way,
    r#"ttl = "24h", scope = user.id, retries = 3"#,
    r"
async fn transfer(
    mut tx: Tx<Postgres>,
    user: User,
    #[deferred] bank: Bank,
    Json(order): Json<Order>,
) -> Result<Json<Receipt>, ApiError> {
    bank.move_money(&mut tx, user, order).await
}"
);

snapshot!(
    steps,
    r#"ttl = "24h", scope = "user""#,
    r"
async fn check_out(steps: Steps, lease: Lease, Json(order): Json<Order>) -> Result<String, ApiError> {
    Ok(steps.run(CHARGE, || charge(&order)).await?)
}"
);

snapshot!(
    a_transaction_with_steps,
    r#"ttl = "24h", scope = "user", retries = 3"#,
    r"
async fn pay_out(mut tx: Tx<Postgres>, steps: Steps, Json(payout): Json<Payout>) -> Result<String, ApiError> {
    Ok(steps.run(WIRE, || wire(&payout)).await?)
}"
);
