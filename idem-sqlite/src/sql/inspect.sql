-- ?1 slot
SELECT {columns} FROM {slots} WHERE slot = ?1 AND (delete_at IS NULL OR delete_at > {now})
