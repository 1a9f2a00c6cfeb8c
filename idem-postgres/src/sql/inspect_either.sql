-- $1 slot  $2 another name of it
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT slot, {columns} FROM {slots}, clock
WHERE slot IN ($1, $2) AND (delete_at IS NULL OR delete_at > now)
