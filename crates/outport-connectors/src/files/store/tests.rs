use bytes::Bytes;
use outport_core::secret::Secret;
use outport_core::{Environment, ErrorKind};

use super::{Credentials, Replace, Store};

fn options<const N: usize>(pairs: [(&str, &str); N]) -> Credentials {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), Secret::new(v.to_owned()))).collect()
}

fn open(url: &str, pairs: Credentials) -> outport_core::Result<Store> {
    Store::open(url, &pairs, &Environment::default())
}

#[test]
fn what_is_not_a_store_is_refused_with_what_is() {
    let error = open("s4://bucket", Credentials::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.hint_text(), Some("did you mean \"s3\"?"));
    assert!(open("s3://", Credentials::new()).unwrap_err().message().contains("names no bucket"));
    assert!(open("file://host/x", Credentials::new()).unwrap_err().message().contains("names a host"));
    assert!(open("", Credentials::new()).unwrap_err().message().contains("empty"));
}

#[test]
fn an_unknown_option_names_the_nearest() {
    let error = open("s3://b", options([("regon", "x")])).unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean \"region\"?"));
    let error = open("gs://b", options([("service_acount_path", "x")])).unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean \"service_account_path\"?"));
    let error = open("az://b", options([("acount_name", "x")])).unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean \"account_name\"?"));
    assert!(open("/tmp", options([("region", "x")])).unwrap_err().message().contains("no option \"region\""));
}

#[test]
fn an_endpoint_without_tls_must_be_meant() {
    let error = open("s3://b", options([("endpoint", "http://127.0.0.1:1")])).unwrap_err();
    assert!(error.hint_text().unwrap().contains("allow_http"));
    assert!(open("s3://b", options([("endpoint", "127.0.0.1")])).unwrap_err().message().contains("not a url"));
    open("s3://b", options([("endpoint", "http://127.0.0.1:1"), ("allow_http", "true")])).unwrap();
}

#[test]
fn every_form_of_an_azure_url_opens() {
    let key = [("access_key", "a2V5"), ("account_name", "acc")];
    for url in [
        "az://container/p",
        "abfss://fs@acc.dfs.core.windows.net/a/b",
        "https://acc.blob.core.windows.net/container/p",
        "https://onelake.dfs.fabric.microsoft.com/workspace/lake.Lakehouse/Files",
        "abfss://workspace@onelake.dfs.fabric.microsoft.com/lake.Lakehouse/Files",
    ] {
        let store = open(url, options(key)).unwrap_or_else(|e| panic!("{url}: {e} {:?}", e.causes()));
        assert_eq!(store.system(), "az");
    }
    let error = open("az://container", options([("access_key", "a2V5")])).unwrap_err();
    assert!(error.message().contains("names no storage account"), "{error}");
}

#[tokio::test]
async fn a_local_folder_holds_what_is_put_there() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        Store::open(&format!("file://{}", folder.path().display()), &Credentials::new(), &Environment::default())
            .unwrap();
    assert_eq!(store.head("a/b.txt").await.unwrap(), None);
    store.put("a/b.txt", Bytes::from_static(b"one"), Replace::No).await.unwrap();
    let error = store.put("a/b.txt", Bytes::from_static(b"two"), Replace::No).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contract);
    assert_eq!(store.read("a/b.txt").await.unwrap().unwrap(), "one");
    let before = store.head("a/b.txt").await.unwrap().unwrap();
    store.put("a/b.txt", Bytes::from_static(b"six"), Replace::Yes).await.unwrap();
    assert_ne!(before.tag, store.head("a/b.txt").await.unwrap().unwrap().tag);
    let paths: Vec<_> = store.list("", true).await.unwrap().into_iter().map(|f| f.path).collect();
    assert_eq!(paths, ["a/b.txt"]);
    assert_eq!(store.list("", false).await.unwrap(), []);
    let error = store.input("a/c.txt").await.err().unwrap();
    assert_eq!((error.kind(), error.hint_text()), (ErrorKind::NotFound, Some("did you mean \"a/b.txt\"?")));
    assert!(store.delete("a/b.txt").await.unwrap());
    assert!(!store.delete("a/b.txt").await.unwrap());
}
