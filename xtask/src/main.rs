//! The project's own commands: `cargo xtask test`, `lint`, `bench`.
fn main() {}
