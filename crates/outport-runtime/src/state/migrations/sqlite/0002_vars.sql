-- The variables that a run used, as a JSON object: a retry of its execution uses them again.
ALTER TABLE outport_run ADD COLUMN vars TEXT;
