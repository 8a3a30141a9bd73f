//! The packages of a release, made from the binary under test by the code behind `cargo xtask dist`, and the files for
//! running it in containers, on Kubernetes and with compose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod release;

mod container;
mod debian;
mod kubernetes;
mod sbom;
