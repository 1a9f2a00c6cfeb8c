-- ?1 slot  ?2 fence  ?3 operator  ?4 record, or null to release  ?5 ttl  ?6 grace
UPDATE {slots} SET
    owner = ?3,
    fence = fence + 1,
    state = CASE WHEN ?4 IS NULL THEN 3 ELSE 2 END,
    record = ?4,
    until = {now} + ?5,
    delete_at = {now} + ?5 + ?6,
    steps = CASE WHEN ?4 IS NULL THEN steps ELSE '[]' END
WHERE slot = ?1 AND fence = ?2 AND (delete_at IS NULL OR delete_at > {now})
  AND (state = 3 OR state = 1 AND until <= {now})
