use outport_core::{Environment, ErrorKind};

use super::{load, parse};

const CONFIG: &str = "[default]\nregion = eu-west-1\n\n[profile lab]\nregion=us-west-2 \n# a comment\nservices = local\n\n\
                      [services local]\ns3 =\n  endpoint_url = http://127.0.0.1:9000\n\n[profile sso]\nsso_session = corp\n";

fn environment(folder: &std::path::Path) -> Environment {
    std::fs::create_dir_all(folder.join(".aws")).unwrap();
    std::fs::write(folder.join(".aws/config"), CONFIG).unwrap();
    std::fs::write(folder.join(".aws/credentials"), "[lab]\naws_access_key_id = AK\naws_secret_access_key = s=k\n")
        .unwrap();
    Environment::from_variables([("HOME", folder.display().to_string())])
}

#[test]
fn a_profile_is_read_from_both_files() {
    let folder = tempfile::tempdir().unwrap();
    let profile = load(Some("lab"), &environment(folder.path())).unwrap();
    let settings: Vec<_> = profile.settings(true).map(|(k, v)| (k.as_ref().to_owned(), v.to_owned())).collect();
    let expected = [
        ("aws_region", "us-west-2"),
        ("aws_endpoint", "http://127.0.0.1:9000"),
        ("aws_access_key_id", "AK"),
        ("aws_secret_access_key", "s=k"),
    ];
    assert_eq!(settings, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(profile.settings(false).count(), 2);
}

#[test]
fn the_default_profile_need_not_exist_and_a_named_one_must() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(load(None, &Environment::default()).unwrap().settings(true).count(), 0);
    let error = load(Some("labs"), &environment(folder.path())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.hint_text(), Some("did you mean \"lab\"?"));
}

#[test]
fn single_sign_on_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let profile = load(Some("sso"), &environment(folder.path())).unwrap();
    let error = profile.check_supported().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("sso_session"), "{error}");
}

#[test]
fn keys_outside_of_sections_do_no_harm() {
    assert_eq!(parse("key = 1\nnonsense\n").len(), 1);
}
