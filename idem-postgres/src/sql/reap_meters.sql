-- $1 how many
WITH due AS MATERIALIZED (
    SELECT tag FROM {meters} WHERE ends_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM {meters} m USING due WHERE m.tag = due.tag
