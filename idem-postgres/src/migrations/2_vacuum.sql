-- Every slot is updated once and deleted once: vacuum early, so that the space is used again.
ALTER TABLE {slots} SET (
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1
);
