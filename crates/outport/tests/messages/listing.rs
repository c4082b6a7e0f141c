//! Results for people and for machines.

use std::process::{Command, Stdio};

use crate::check;
use crate::support::Folder;

fn ran() -> Folder {
    let folder = Folder::with_exports(
        "  shop/zoo: {source_query: 'select city from cities', execution_group: 1}
  shop/bees: {source_table: cities, execution_group: 2}
  shop/cities: {source_table: cities, execution_group: 1}
  shop/apes: {source_table: cities, execution_group: 1}
",
    );
    let said = folder.run("run -q");
    assert!(said.starts_with("exit 0\n"), "{said}");
    folder
}

#[test]
fn a_plan_is_short_where_nothing_is_special() {
    let folder = Folder::with_exports(
        "  shop/cities: {source_table: cities}
  shop/lists: {source_query: 'select city, make_array(population) as a, make_array(city) as b from cities'}
",
    );
    check!("plan", folder.run("plan"));
}

#[test]
fn listings_are_tables_csv_and_json() {
    let folder = ran();
    check!("conns_list", folder.run("conns list"));
    check!("conns_discover", folder.run("conns discover lake --columns"));
    check!("status", folder.run("status"));
    check!("gaps", folder.run("gaps"));
    for command in ["status", "history", "gaps", "watermark get", "conns list", "conns discover lake --columns", "run"]
    {
        let output = folder.command(&format!("{command} -q -o json")).output().expect("the program");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.trim_start().starts_with(['[', '{']), "{command}: {text}");
        let output = folder.command(&format!("{command} -q -o csv")).output().expect("the program");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let header = text.lines().next().unwrap_or_default();
        assert!(
            output.status.success() && header.chars().all(|c| c.is_ascii_lowercase() || "_,/".contains(c)),
            "{text}"
        );
    }
}

#[test]
fn a_run_is_listed_by_execution_group_and_name() {
    let folder = ran();
    let output = folder.command("run -q").output().expect("the program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["shop/apes", "shop/cities", "shop/zoo", "shop/bees"], "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = ran();
    for command in ["history", "schema", "completions bash", "help"] {
        let mut child =
            folder.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the program ends");
        assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
        assert!(output.stderr.is_empty(), "{command}: {output:?}");
    }
}

#[test]
fn completions_exist_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = folder.command(&format!("completions {shell}")).output().expect("the program");
        assert!(output.status.success() && output.stdout.len() > 1000, "{shell}");
    }
}

#[test]
fn every_command_has_help_without_paragraphs_of_debris() {
    let folder = Folder::new();
    check!("help", folder.run("--help"));
    for command in [
        "init",
        "check",
        "doctor",
        "export",
        "plan",
        "run",
        "status",
        "history",
        "retry",
        "watermark",
        "gaps",
        "copy",
        "conns",
        "verify",
        "gc",
        "schema",
        "completions",
    ] {
        let said = folder.run(&format!("{command} --help"));
        assert!(said.starts_with("exit 0\n") && said.contains("Usage: outport"), "{said}");
    }
    // Without arguments it is help too, but nothing was done.
    let said = folder.run("");
    assert!(said.starts_with("exit 2\n") && said.contains("Usage: outport"), "{said}");
}

#[test]
fn colours_are_for_terminals() {
    let folder = Folder::new();
    let plain = folder.command("plan").output().expect("the program");
    assert!(!plain.stderr.contains(&0x1b));
    let coloured = folder.command("plan --color on").output().expect("the program");
    assert!(coloured.stderr.contains(&0x1b));
    // Nobody asked for colours where there is no terminal, whatever NO_COLOR says.
    let quiet: &mut Command = &mut folder.command("plan");
    assert!(!quiet.env("NO_COLOR", "1").output().expect("the program").stderr.contains(&0x1b));
}
