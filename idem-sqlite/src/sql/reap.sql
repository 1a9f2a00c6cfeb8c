-- ?1 how many
DELETE FROM {slots} WHERE slot IN (
    SELECT slot FROM {slots} WHERE delete_at <= {now} ORDER BY delete_at LIMIT ?1)
