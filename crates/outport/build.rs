//! Tells the loader where `libduckdb` lies: beside the program and in `../lib`, as a release ships it, and in the folder
//! that it was linked from, so that a build in the working tree starts without `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    let unix = std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family.split(',').any(|f| f == "unix"));
    let bundled = std::env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    let Some(dir) = std::env::var_os("DUCKDB_LIB_DIR").filter(|_| unix && !bundled) else {
        return;
    };
    let origin =
        if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos") { "@loader_path" } else { "$ORIGIN" };
    println!("cargo::rustc-link-arg=-Wl,-rpath,{origin}");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{origin}/../lib");
    let dir = std::path::absolute(&dir).unwrap_or_else(|_| dir.into());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", dir.display());
}
