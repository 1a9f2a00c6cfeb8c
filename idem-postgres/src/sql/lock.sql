-- $1 the lock of slot and fingerprint  $2 the lock of the slot
-- $3 what idem.claim is to say if this transaction has both, $4 if another has the first, $5 the second
SELECT set_config('idem.claim', CASE
    WHEN NOT pg_try_advisory_xact_lock($1) THEN $4
    WHEN NOT pg_try_advisory_xact_lock($2) THEN $5
    ELSE $3 END, true)
