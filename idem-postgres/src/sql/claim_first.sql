-- $1 slot  $2 fingerprint  $3 owner  $4 lease in µs  $5 retention in µs  $6 refuse to be taken over
-- The claim of a slot that has no row, as nearly every one. One row: whether it was won, and else the
-- slot as it is; nulls where somebody else was quicker, or what is there is as good as absent.
WITH won AS (
    INSERT INTO {slots}
        (slot, fingerprint, owner, fence, attempt, state, refuse, taken_over, retention, until, delete_at, reap_at)
    SELECT $1, $2, $3, 1, 1, 1, $6, false,
           $5::bigint * interval '1 microsecond',
           statement_timestamp() + $4::bigint * interval '1 microsecond',
           CASE WHEN NOT $6 THEN statement_timestamp() + ($4::bigint + $5::bigint) * interval '1 microsecond' END,
           statement_timestamp() + ($4::bigint + $5::bigint) * interval '1 microsecond'
    ON CONFLICT (slot) DO NOTHING
    RETURNING true
)
SELECT is_won.won, seen.* FROM (SELECT EXISTS (SELECT FROM won) AS won) is_won
LEFT JOIN LATERAL (
    SELECT true AS found, {columns} FROM {slots}, (SELECT statement_timestamp() AS now) clock
    WHERE NOT is_won.won AND slot = $1 AND (delete_at IS NULL OR delete_at > now)
) seen ON true
