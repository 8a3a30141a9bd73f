//! Query with optional conditions.

use rusqlite::types::Value;

/// A query under construction, with its parameter values.
pub(super) struct Filter {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Filter {
    /// A query that ends in a `WHERE` clause.
    pub(super) fn new(sql: &str, values: impl IntoIterator<Item = Value>) -> Filter {
        Filter { sql: sql.to_owned(), values: values.into_iter().collect() }
    }

    /// Adds a condition with one parameter, if the value is given.
    pub(super) fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
    }

    /// Adds a condition without a parameter.
    pub(super) fn and_also(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// Adds an order and a limit, one more than requested, to detect further rows.
    pub(super) fn page(mut self, order: &str, limit: usize) -> Filter {
        self.sql.push_str(&format!(" ORDER BY {order} LIMIT ?"));
        self.values.push(number(limit.saturating_add(1)));
        self
    }
}

/// Case-insensitive condition on part of a name.
pub(super) fn has_text(name: &str) -> String {
    format!("instr(lower({name}), lower(?)) > 0")
}

/// The bytes of an id.
pub(super) fn bytes(id: uuid::Uuid) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

/// A number of rows.
pub(super) fn number(rows: usize) -> Value {
    Value::Integer(i64::try_from(rows).unwrap_or(i64::MAX))
}
