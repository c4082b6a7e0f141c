//! The site, in a real browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{build, warehouse};
use crate::support::{Folder, missing};

/// Chromium; `None`, said loudly, where it is not installed.
fn chromium() -> Option<PathBuf> {
    let found = std::env::var_os("PATH").and_then(|path| {
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let names = ["chromium", "chromium-browser", "google-chrome"];
        folders.iter().flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
    });
    if found.is_none() {
        missing("chromium");
    }
    found
}

fn browse(program: &Path, folder: &Folder, arguments: &[&str]) -> String {
    let profile = folder.path().join("profile");
    let output = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_site_can_be_read_and_searched() {
    let Some(folder) = warehouse("{url: bucket}") else { return };
    build(&folder);
    folder.ok(&["docs"]);
    assert_eq!(folder.names("exports/docs").len(), 4);
    for (name, page) in folder.files("exports/docs") {
        let page = String::from_utf8(page).unwrap().replace("&#x2f;", "/");
        assert!(
            !page.contains("src=\"http") && !page.contains("@import") && !page.contains("url(http"),
            "{name} loads something"
        );
        for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let above = Path::new("exports/docs").join(&name);
            let file = folder.path().join(above.parent().unwrap()).join(
                link.split('#')
                    .next()
                    .unwrap()
                    .replace("%20", " ")
                    .replace("%25", "%")
                    .replace("%C3%BC", "ü")
                    .replace("%C3%AF", "ï"),
            );
            let known = link.starts_with('#') || link.starts_with("data:") || file.exists();
            assert!(known, "{name} links to {link}, which is not there");
        }
    }
    let page = folder.text("exports/docs/tables/mart.facts.html").replace("&#x27;", "'");
    for expected in [
        "It's",
        "&quot;all&quot; &lt;facts&gt;",
        "3,000",
        "20 % missing",
        "text 0",
        "read_parquet(",
        "library(duckdb)",
        "staging.numbers",
    ] {
        assert!(page.contains(expected), "{expected} is not on the page");
    }
    let Some(program) = chromium() else { return };
    let index = format!("file://{}", folder.path().join("exports/docs/index.html").display());
    let found = browse(&program, &folder, &["--dump-dom", &format!("{index}#q=generation")]);
    let card = |name: &str| {
        found
            .split("<a class=\"card\"")
            .skip(1)
            .find(|card| card.contains(&format!(">{name}</span>")))
            .unwrap()
            .split("</a>")
            .next()
            .unwrap()
            .to_owned()
    };
    assert!(card("facts").contains("Columns: generation"), "{}", card("facts"));
    assert!(!card("facts").contains("hidden=") && card("per_label").contains("hidden=\"\""));
    assert!(found.contains("2 tables of 3"));
    for (name, size, dark) in
        [("desktop", "1280,1600", false), ("dark", "1280,1600", true), ("phone", "500,1600", false)]
    {
        let shot = folder.path().join(format!("{name}.png"));
        let scheme =
            if dark { "--blink-settings=preferredColorScheme=0" } else { "--blink-settings=preferredColorScheme=1" };
        browse(
            &program,
            &folder,
            &[&format!("--screenshot={}", shot.display()), &format!("--window-size={size}"), scheme, &index],
        );
        let script = format!(
            "import json, struct, zlib\nd = open({:?}, 'rb').read()\nw, h = struct.unpack('>II', d[16:24])\ni, data = 8, b''\nwhile i < len(d):\n    n, k = struct.unpack('>I4s', d[i:i+8])\n    data += d[i+8:i+8+n] if k == b'IDAT' else b''\n    i += n + 12\nraw = zlib.decompress(data)\nprint(json.dumps([w, h, d[25], len(set(raw[i:i+4] for i in range(1, len(raw), 4))), raw[1]]))",
            shot.display().to_string()
        );
        let [width, _, _, colours, first]: [u64; 5] = serde_json::from_str(&folder.python(&script)).unwrap();
        assert_eq!(width.to_string(), size.split(',').next().unwrap());
        assert!(colours > 100, "{name}: only {colours} colours, as of a blank page");
        assert_eq!(first < 100, dark, "{name}: the ground is {first}");
    }
}
