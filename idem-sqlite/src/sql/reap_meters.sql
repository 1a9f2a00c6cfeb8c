-- ?1 how many
DELETE FROM {meters} WHERE tag IN (SELECT tag FROM {meters} WHERE ends_at <= {now} LIMIT ?1)
