-- $1 slot  $2 owner  $3 fence  $4 name  $5 value
UPDATE {slots} SET
    step_names = CASE WHEN $4 = ANY (step_names) THEN step_names ELSE step_names || $4::text END,
    step_values = CASE
        WHEN $4 = ANY (step_names) THEN
            step_values[:array_position(step_names, $4) - 1] || $5::bytea
            || step_values[array_position(step_names, $4) + 1:]
        ELSE step_values || $5::bytea END
WHERE slot = $1 AND owner = $2 AND fence = $3 AND state = 1
  AND (delete_at IS NULL OR delete_at > clock_timestamp())
