use super::*;

#[test]
fn the_holder_of_a_lock_is_read_from_the_message() {
    let text = |pid: u32| {
        format!(
            "IO Error: Could not set lock on file \"/d/a.db\": Conflicting lock is held in /usr/bin/python3.11 (PID {pid}). See also"
        )
    };
    // No process has the largest number, so the program's name comes from the message.
    assert_eq!(lock_holder(&text(u32::MAX)).as_deref(), Some("process 4294967295 (python3.11)"));
    let own = std::process::id();
    assert!(lock_holder(&text(own)).is_some_and(|h| h.starts_with(&format!("process {own} ("))));
    assert_eq!(lock_holder("IO Error: Could not set lock on file \"x\": busy").as_deref(), Some("another process"));
    assert_eq!(lock_holder("IO Error: something else"), None);
}

#[test]
fn versions_are_read_from_the_message() {
    let text = "IO Error: Trying to read a database file with version number 999, but we can only read versions between 64 and 68.\nx";
    assert_eq!(version_range(text), Some(("999".to_owned(), "64 to 68".to_owned())));
    assert_eq!(version_range("IO Error: else"), None);
}

#[test]
fn a_setting_of_the_connection_is_repeated_for_each() {
    let mut config = DuckDbConfig::new(":memory:");
    config.settings.insert("streaming_buffer_size".into(), crate::Setting::Text("8MiB".into()));
    let database = Database::open(&config, AccessMode::ReadOnly, 256 << 20).unwrap();
    let connection = database.connection().unwrap();
    let sql = "SELECT current_setting('streaming_buffer_size')";
    assert_eq!(connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "8.0 MiB");
}
