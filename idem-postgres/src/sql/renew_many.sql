-- $1 slots  $2 owners  $3 fences  $4 leases in µs
-- One row for each: whether it is renewed, and whether it is held all the same, because another
-- statement has the row now.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), asked AS MATERIALIZED (
    SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[])
        WITH ORDINALITY AS a (slot, owner, fence, lease, position)
), held AS MATERIALIZED (
    SELECT a.slot, a.position, a.lease * interval '1 microsecond' AS lease
    FROM asked a JOIN {slots} s USING (slot, owner, fence), clock
    WHERE s.state = 1 AND (s.delete_at IS NULL OR s.delete_at > now)
), free AS MATERIALIZED (
    SELECT held.* FROM held JOIN {slots} s USING (slot)
    FOR UPDATE OF s SKIP LOCKED
), renewed AS (
    UPDATE {slots} s SET
        until = now + free.lease,
        delete_at = CASE WHEN NOT s.refuse THEN now + free.lease + s.retention END,
        reap_at = now + free.lease + s.retention
    FROM free JOIN asked USING (slot, position), clock
    WHERE s.slot = free.slot AND s.owner = asked.owner AND s.fence = asked.fence AND s.state = 1
      AND (s.delete_at IS NULL OR s.delete_at > now)
    RETURNING free.position
)
SELECT EXISTS (SELECT FROM renewed r WHERE r.position = a.position) AS renewed,
       EXISTS (SELECT FROM held h WHERE h.position = a.position) AS held
FROM asked a ORDER BY a.position
