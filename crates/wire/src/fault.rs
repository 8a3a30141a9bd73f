//! One fault of a request, as every error answer lists it.

/// What is wrong with one part of a request (contract page 1, "Errors").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// For a person: what was wrong and what would be right.
    pub message: String,
    /// Stable and machine-readable.
    pub code: &'static str,
    /// The path of the field at fault, where it is one.
    pub field: Option<String>,
}
