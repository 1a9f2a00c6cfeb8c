-- $1 how many
-- Rows that another node is deleting are left to it.
WITH due AS MATERIALIZED (
    SELECT slot FROM {slots}
    WHERE reap_at <= now() AND delete_at <= now()
    ORDER BY reap_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM {slots} s USING due WHERE s.slot = due.slot
