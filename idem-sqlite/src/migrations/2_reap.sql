-- For the reaper.
CREATE INDEX {table}_delete_at ON {slots} (delete_at) WHERE delete_at IS NOT NULL;
