-- After `WITH asked (slot, owner, fence, lease) AS (VALUES …)`: those that are renewed.
UPDATE {slots} AS s SET
    until = {now} + asked.lease,
    delete_at = CASE WHEN NOT s.refuse THEN {now} + asked.lease + s.retention END
FROM asked
WHERE s.slot = asked.slot AND s.owner = asked.owner AND s.fence = asked.fence
  AND s.state = 1 AND (s.delete_at IS NULL OR s.delete_at > {now})
RETURNING slot, owner
