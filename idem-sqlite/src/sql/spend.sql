-- ?1 tag  ?2 bytes  ?3 window
INSERT INTO {meters} AS m (tag, total, started_at, ends_at)
VALUES (?1, ?2, {now}, {now} + ?3)
ON CONFLICT (tag) DO UPDATE SET
    total = CASE WHEN m.ends_at > {now} THEN m.total ELSE 0 END + ?2,
    started_at = CASE WHEN m.ends_at > {now} THEN m.started_at ELSE {now} END,
    ends_at = CASE WHEN m.ends_at > {now} THEN max(m.ends_at, m.started_at + ?3) ELSE {now} + ?3 END
RETURNING total, (ends_at - {now}) * 1000 AS resets_in
