-- $1 slot
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT {columns} FROM {slots}, clock
WHERE slot = $1 AND (delete_at IS NULL OR delete_at > now)
