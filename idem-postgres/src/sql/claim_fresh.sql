-- $1 slot  $2 fingerprint  $3 owner  $4 lease in µs  $5 retention in µs
-- $6 the lock of slot and fingerprint  $7 the lock of the slot  $8 what idem.claim is to say
-- The claim of a slot that has no row, in a transaction; no row where it has one, or a lock is taken.
-- It reads nothing, so that serializable transactions do not meet here.
INSERT INTO {slots}
    (slot, fingerprint, owner, fence, attempt, state, refuse, taken_over, retention, until, delete_at, reap_at)
SELECT $1, $2, $3, 1, 1, 1, true, false,
       $5::bigint * interval '1 microsecond',
       clock_timestamp() + $4::bigint * interval '1 microsecond',
       NULL,
       clock_timestamp() + ($4::bigint + $5::bigint) * interval '1 microsecond'
WHERE CASE WHEN pg_try_advisory_xact_lock($6) THEN pg_try_advisory_xact_lock($7) ELSE false END
ON CONFLICT (slot) DO NOTHING
RETURNING set_config('idem.claim', $8, true)
