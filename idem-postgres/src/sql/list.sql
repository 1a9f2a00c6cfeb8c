-- $1 the slot before the page, or null  $2 the kind of state, or null  $3 how many
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT slot, {columns} FROM {slots}, clock
WHERE ($1::bytea IS NULL OR slot > $1)
  AND (delete_at IS NULL OR delete_at > now)
  AND ($2::text IS NULL OR $2 = CASE
      WHEN state = 1 AND until > now THEN 'in flight'
      WHEN state = 1 AND refuse THEN 'unknown'
      WHEN state = 1 THEN 'lapsed'
      WHEN state = 2 THEN 'completed'
      ELSE 'released' END)
ORDER BY slot
LIMIT $3
