-- ?1 slot  ?2 owner  ?3 fence  ?4 name  ?5 value in hexadecimal
UPDATE {slots} SET steps = CASE
    WHEN EXISTS (SELECT 1 FROM json_each(steps) WHERE value ->> 0 = ?4) THEN (
        SELECT json_group_array(CASE WHEN value ->> 0 = ?4 THEN json_array(?4, ?5) ELSE json(value) END)
        FROM json_each(steps))
    ELSE json_insert(steps, '$[#]', json_array(?4, ?5)) END
WHERE slot = ?1 AND owner = ?2 AND fence = ?3 AND state = 1 AND (delete_at IS NULL OR delete_at > {now})
