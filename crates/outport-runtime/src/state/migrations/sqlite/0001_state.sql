-- The log of the export contract. Timestamps are UTC in ISO 8601; file_paths is a JSON array.
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
  period_start_date TEXT,
  period_end_date TEXT,
  started_at TEXT NOT NULL,
  completed_at TEXT,
  duration_ms INTEGER,
  rows_exported INTEGER,
  files_created INTEGER,
  total_bytes INTEGER,
  file_paths TEXT,
  trigger_file_path TEXT,
  error_message TEXT,
  updated_at TEXT NOT NULL
);
CREATE INDEX log_resource_export_by_export ON log_resource_export (export_group_name, export_name, started_at);
CREATE INDEX log_resource_export_by_execution ON log_resource_export (master_execution_id);

-- Append-only: the row with the largest watermark_id is the one that counts. A NULL watermark_value is a reset.
CREATE TABLE log_resource_export_watermark (
  watermark_id INTEGER PRIMARY KEY AUTOINCREMENT,
  export_group_name TEXT NOT NULL,
  export_name TEXT NOT NULL,
  incremental_column TEXT,
  watermark_value TEXT,
  watermark_typed TEXT,
  updated_at TEXT NOT NULL,
  export_run_id TEXT,
  updated_by_run_id TEXT GENERATED ALWAYS AS (export_run_id) VIRTUAL
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
  intent TEXT NOT NULL,
  updated_at TEXT NOT NULL
);

-- At most one run of an export at a time. expires_at is milliseconds since 1970 by the database's clock.
CREATE TABLE outport_lease (
  export_group_name TEXT NOT NULL,
  export_name TEXT NOT NULL,
  export_run_id TEXT NOT NULL,
  host TEXT NOT NULL,
  machine TEXT NOT NULL,
  process TEXT NOT NULL,
  acquired_at TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (export_group_name, export_name)
);

-- The definition and the columns of the last successful run.
CREATE TABLE outport_fingerprint (
  export_group_name TEXT NOT NULL,
  export_name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  columns TEXT NOT NULL,
  export_run_id TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (export_group_name, export_name)
);
