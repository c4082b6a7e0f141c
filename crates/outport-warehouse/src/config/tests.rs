use super::*;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("warehouse.yml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file), &Environment::from_variables(variables.iter().copied()))
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_the_defaults() {
    let config = load(
        "warehouse:\n  db_path: a.duckdb\n  threads: 4\ndeployment:\n  bucket_name: b\n",
        &[("OMICIDX_DB_PATH", "c.duckdb"), ("OMICIDX_R2_REGION", "weur")],
    )
    .unwrap();
    assert_eq!(config.settings.db_path, PathBuf::from("c.duckdb"));
    assert_eq!(config.settings.threads, Some(4));
    assert_eq!(config.settings.export_dir, PathBuf::from("exports"));
    let deployment = config.deployment().unwrap();
    assert_eq!((deployment.region.as_str(), deployment.data_prefix.as_str()), ("weur", "data"));
    assert_eq!(deployment.store_url().unwrap(), "s3://b");
}

#[test]
fn a_section_may_come_from_the_environment_alone() {
    let config = Config::load(None, &Environment::from_variables([("OMICIDX_R2_BUCKET_NAME", "omicidx")])).unwrap();
    assert_eq!(config.deployment().unwrap().store_url().unwrap(), "s3://omicidx");
    assert!(Config::load(None, &Environment::default()).unwrap().deployment.is_none());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let error = load("warehouse:\n  db_pth: x\n", &[]).unwrap_err();
    let location = error.location().unwrap();
    assert_eq!((location.line, location.column), (2, 3));
    assert!(error.hint_text().unwrap().contains("db_path"), "{error:?}");
    let error = load("warehose: {}\n", &[]).unwrap_err();
    assert!(error.hint_text().unwrap().contains("warehouse"));
    let error = load("warehouse: {}\n", &[("OMICIDX_THREADS", "many")]).unwrap_err();
    assert_eq!(error.location().unwrap().file, "OMICIDX_THREADS");
    let error = Config::default().deployment().unwrap_err();
    assert_eq!(error.message(), "Deployment not configured. Add 'deployment:' section to warehouse.yml");
}
