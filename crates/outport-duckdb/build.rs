//! Tells the loader where the prebuilt `libduckdb` lies, so that tests and examples of this crate start without
//! `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    if std::env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        return;
    }
    let unix = std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family.split(',').any(|f| f == "unix"));
    let Some(dir) = std::env::var_os("DUCKDB_LIB_DIR").filter(|_| unix) else {
        return;
    };
    let dir = std::path::absolute(&dir).unwrap_or_else(|_| dir.into());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", dir.display());
}
