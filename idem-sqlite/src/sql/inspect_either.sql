-- ?1 slot  ?2 another name of it
SELECT slot, {columns} FROM {slots} WHERE slot IN (?1, ?2) AND (delete_at IS NULL OR delete_at > {now})
