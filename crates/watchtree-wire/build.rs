//! Compiles `proto/` with protox and prost-build: no protoc, nothing to install.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    println!("cargo::rerun-if-changed=build.rs");
    let files = protox::compile(["watchtree/link/v1/link.proto"], [root])?;
    // Comments of the proto file are not Rust documentation: they hold no examples to be compiled.
    prost_build::Config::new().disable_comments(["."]).compile_fds(files)?;
    Ok(())
}
