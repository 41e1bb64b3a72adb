//! Passes the commit to the binary as `BUILD_COMMIT`, for `offboarder --version`. The name does not begin with
//! `OFFBOARDER_`: cargo sets it for `cargo run` too, where it would be an unknown setting.
//!
//! Only release builds ask git: a debug build that did would be compiled again after each commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit());
}

fn commit() -> String {
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return "debug build".to_owned();
    }

    of_checkout()
        .or_else(|| std::env::var("BUILD_COMMIT").ok())
        .filter(|commit| {
            !commit.is_empty() && commit.chars().all(|one| one.is_ascii_alphanumeric())
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The commit of the checkout that this crate is the root of. Sources that were unpacked inside another repository
/// have none.
fn of_checkout() -> Option<String> {
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(&root)
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.trim().to_owned())
    };

    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&root).canonicalize().ok()? {
        return None;
    }

    // The log of HEAD grows with each commit; the file of the branch does not exist while the branch is packed.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(file) = git(&["rev-parse", "--git-path", name]) {
            let file = Path::new(&root).join(file);
            if file.is_file() {
                println!("cargo::rerun-if-changed={}", file.display());
            }
        }
    }

    git(&["rev-parse", "--short=12", "HEAD"])
}
