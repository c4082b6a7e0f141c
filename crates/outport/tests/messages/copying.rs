//! `outport copy` of what cannot be copied.

use std::process::{Command, Stdio};

use crate::check;
use crate::support::{Folder, python, skip, test_data};

#[test]
fn broken_csv_shows_file_line_and_column() {
    let folder = Folder::new();
    folder.write("ragged.csv", "a,b\n1,2\n3\n");
    check!("csv_ragged", folder.run("copy ragged.csv out.parquet"));
    folder.write("quote.csv", "a,b\n1,2\n\"x,3\n4,5\n");
    check!("csv_open_quote", folder.run("copy quote.csv out.parquet"));
    folder.write("value.csv", "a\n1\n2\nx\n");
    check!("csv_value", folder.run("copy value.csv out.csv --from-option types=a=int"));
    folder.write("cut.ndjson", "{\"a\":1}\n{\"a\":\n");
    check!("json_cut", folder.run("copy cut.ndjson out.csv"));
    assert!(!folder.path().join("out.csv").exists() && !folder.path().join("out.parquet").exists());
}

#[test]
fn empty_files_are_told_from_files_without_rows() {
    let folder = Folder::new();
    folder.write("zero.csv", "");
    check!("zero_csv", folder.run("copy zero.csv out.csv"));
    folder.write("zero.parquet", "");
    check!("zero_parquet", folder.run("copy zero.parquet out.csv"));
    folder.write("header.csv", "a,b\n");
    check!("header_only", folder.run("copy header.csv out.csv"));
    assert_eq!(std::fs::read_to_string(folder.path().join("out.csv")).expect("a file"), "a,b\n");
}

#[test]
fn arguments_that_name_nothing_say_what_there_is() {
    let folder = Folder::new();
    check!("copy_missing", folder.run("copy data/citis.csv out.csv"));
    check!("copy_extension", folder.run("copy data/cities.csv out.xyz"));
    check!("copy_format", folder.run("copy data/cities.csv out.csv --format parqet"));
    check!("copy_compression", folder.run("copy data/cities.csv out.csv --compression rar"));
    check!("copy_option", folder.run("copy data/cities.csv out.csv --option nullvalu=x"));
    check!("copy_option_value", folder.run("copy data/cities.csv out.csv --option header=maybe"));
}

#[test]
fn damaged_parquet_is_refused() {
    let Some(data) = test_data() else { return };
    let folder = Folder::new();
    let mut files: Vec<_> = std::fs::read_dir(data.join("parquet/bad_data"))
        .expect("the corpus")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    let mut said = String::new();
    for file in files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        std::fs::copy(&file, folder.path().join(&name)).expect("a copy");
        said += &format!("# {name}\n{}\n", folder.run(&format!("copy {name} out.csv")));
    }
    check!("parquet_bad_data", said);
    let whole = std::fs::read(data.join("parquet/data/alltypes_plain.parquet")).expect("a file of the corpus");
    folder.write("cut.parquet", &whole[..whole.len() - 100]);
    check!("parquet_cut", folder.run("copy cut.parquet out.csv"));
}

#[test]
fn duckdb_files_that_cannot_be_read_say_why() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let made =
        "import duckdb; duckdb.connect('shop.duckdb').execute(\"create table orders as select 1 a, interval 1 day i\")";
    assert!(Command::new(&python).args(["-c", made]).current_dir(folder.path()).status().expect("Python").success());
    check!("duckdb_missing", folder.run("copy shpo.duckdb out.csv --table orders"));
    check!("duckdb_table", folder.run("copy shop.duckdb out.csv --table order"));
    check!("duckdb_column", folder.run("copy shop.duckdb out.csv --query select\ta_b\tfrom\torders"));
    check!("duckdb_interval", folder.run("copy shop.duckdb out.parquet --table orders"));
    folder.write("text.duckdb", "no database");
    check!("duckdb_text", folder.run("copy text.duckdb out.csv --table orders"));

    let hold = "import duckdb, sys; c = duckdb.connect('shop.duckdb'); print('held', flush=True); sys.stdin.read()";
    let mut holder = Command::new(&python)
        .args(["-c", hold])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python");
    let mut line = String::new();
    let stdout = holder.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    let said = folder.run("copy shop.duckdb out.csv --table orders");
    let pid = holder.id();
    drop(holder.stdin.take());
    holder.wait().expect("Python ends");
    assert!(said.starts_with("exit 1\n") && said.contains(&format!("is locked by process {pid}")), "{said}");
}

#[test]
fn a_failing_query_ends_the_same_way_every_time() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let made = "import duckdb; duckdb.connect('shop.duckdb').execute('create table orders as select 1 a')";
    assert!(Command::new(&python).args(["-c", made]).current_dir(folder.path()).status().expect("Python").success());
    // The end of the query's thread and the error that leaves the program race here.
    for _ in 0..25 {
        let said = folder.run("copy shop.duckdb out.csv --table order");
        assert!(said.starts_with("exit 1\nerror: "), "{said}");
    }
}

#[test]
fn hosts_that_do_not_answer_are_named() {
    let folder = Folder::new();
    check!("postgres_refused", folder.run("copy postgres://u:secret@127.0.0.1:1/db out.csv --table orders"));
    let mut s3 = folder.command("copy data/cities.csv s3://bucket/cities.csv");
    s3.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    s3.env("AWS_REGION", "us-east-1");
    check!("s3_without_tls", folder.transcript(&mut s3));
}

#[test]
fn a_full_disk_and_a_read_only_one_leave_nothing() {
    let folder = Folder::new();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mount = |options: &str| {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).output();
        mounted.is_ok_and(|output| output.status.success())
    };
    if !mount("size=64k") {
        return skip("a file system cannot be mounted here");
    }
    let rows: String = (0..40_000).map(|row| format!("{row}\n")).collect();
    folder.write("big.csv", format!("a\n{rows}"));
    let full = folder.run("copy big.csv disk/out.csv");
    let left = std::fs::read_dir(&disk).expect("the disk").count();
    let locked = mount("remount,ro");
    let read_only = folder.run("copy big.csv disk/out.csv");
    let unmounted = Command::new("umount").arg(&disk).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    check!("disk_full", full);
    assert_eq!(left, 0, "files were left behind");
    assert!(locked);
    check!("disk_read_only", read_only);
}
