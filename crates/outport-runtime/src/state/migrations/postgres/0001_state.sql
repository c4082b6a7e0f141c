-- Instants, civil times and JSON as the text that the program reads.
CREATE FUNCTION outport_ts(t TIMESTAMPTZ) RETURNS TEXT LANGUAGE SQL STABLE
  AS $$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
CREATE FUNCTION outport_civil(t TIMESTAMP) RETURNS TEXT LANGUAGE SQL STABLE
  AS $$ SELECT to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS') $$;
CREATE FUNCTION outport_json(j JSONB) RETURNS TEXT LANGUAGE SQL STABLE AS $$ SELECT j::TEXT $$;

-- The log of the export contract. file_paths is a JSON array.
CREATE TABLE log_resource_export (
  export_run_id TEXT PRIMARY KEY,
  master_execution_id TEXT NOT NULL,
  export_group_name TEXT NOT NULL,
  export_name TEXT NOT NULL,
  export_state TEXT NOT NULL CHECK (export_state IN ('pending', 'running', 'success', 'warning', 'error')),
  source_type TEXT,
  source_workspace TEXT,
  source_datastore TEXT,
  source_table TEXT,
  target_path TEXT,
  file_format TEXT,
  compression TEXT,
  watermark_value TEXT,
  period_start_date TIMESTAMP,
  period_end_date TIMESTAMP,
  started_at TIMESTAMPTZ NOT NULL,
  completed_at TIMESTAMPTZ,
  duration_ms BIGINT,
  rows_exported BIGINT,
  files_created BIGINT,
  total_bytes BIGINT,
  file_paths JSONB,
  trigger_file_path TEXT,
  error_message TEXT,
  updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX log_resource_export_by_export ON log_resource_export (export_group_name, export_name, started_at);
CREATE INDEX log_resource_export_by_execution ON log_resource_export (master_execution_id);

-- Append-only: the row with the largest watermark_id is the one that counts. A NULL watermark_value is a reset.
CREATE TABLE log_resource_export_watermark (
  watermark_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  export_group_name TEXT NOT NULL,
  export_name TEXT NOT NULL,
  incremental_column TEXT,
  watermark_value TEXT,
  watermark_typed TEXT,
  updated_at TIMESTAMPTZ NOT NULL,
  export_run_id TEXT,
  updated_by_run_id TEXT GENERATED ALWAYS AS (export_run_id) STORED
);
CREATE INDEX log_resource_export_watermark_by_export
  ON log_resource_export_watermark (export_group_name, export_name, watermark_id);

-- What a run needs beyond the documented columns: whose it is, and what success would write.
CREATE TABLE outport_run (
  export_run_id TEXT PRIMARY KEY REFERENCES log_resource_export (export_run_id) ON DELETE CASCADE,
  host TEXT NOT NULL,
  machine TEXT NOT NULL,
  process TEXT NOT NULL,
  run_date TEXT NOT NULL,
  target TEXT,
  incremental_column TEXT,
  watermark_typed TEXT,
  fingerprint TEXT,
  columns TEXT,
  warnings TEXT
);

-- What a run is about to publish, as JSON; gone when its books are closed.
CREATE TABLE outport_intent (
  export_run_id TEXT PRIMARY KEY REFERENCES log_resource_export (export_run_id) ON DELETE CASCADE,
  intent JSONB NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);

-- At most one run of an export at a time. expires_at is milliseconds since 1970 by the database's clock.
CREATE TABLE outport_lease (
  export_group_name TEXT NOT NULL,
  export_name TEXT NOT NULL,
  export_run_id TEXT NOT NULL,
  host TEXT NOT NULL,
  machine TEXT NOT NULL,
  process TEXT NOT NULL,
  acquired_at TIMESTAMPTZ NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (export_group_name, export_name)
);

-- The definition and the columns of the last successful run.
CREATE TABLE outport_fingerprint (
  export_group_name TEXT NOT NULL,
  export_name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  columns TEXT NOT NULL,
  export_run_id TEXT NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (export_group_name, export_name)
);
