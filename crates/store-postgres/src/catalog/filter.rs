//! Query with optional conditions.

use crate::args::{Arg, Value};

/// A query under construction, with its parameter values. A `?` in a condition stands for the next one.
pub(super) struct Filter {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Filter {
    /// A query that ends in a `WHERE` clause.
    pub(super) fn new(sql: &str, values: impl IntoIterator<Item = Value>) -> Filter {
        let mut filter = Filter { sql: String::new(), values: Vec::new() };
        let values: Vec<Value> = values.into_iter().collect();
        filter.push(sql, values);
        filter
    }

    fn push(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        let mut next = self.values.len();
        for (index, piece) in sql.split('?').enumerate() {
            if index > 0 {
                next += 1;
                self.sql.push_str(&format!("${next}"));
            }
            self.sql.push_str(piece);
        }
        self.values.extend(values);
        debug_assert_eq!(next, self.values.len(), "{sql}");
    }

    /// Adds a condition with one parameter, if the value is given.
    pub(super) fn and(&mut self, condition: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.push(&format!(" AND {condition}"), [value]);
        }
    }

    /// Adds a condition with these parameters.
    pub(super) fn and_all(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.push(&format!(" AND {condition}"), values);
    }

    /// Adds an order and a limit, one more than requested, to detect further rows.
    pub(super) fn page(mut self, order: &str, limit: usize) -> Filter {
        self.push(&format!(" ORDER BY {order} LIMIT ?"), [number(limit.saturating_add(1))]);
        self
    }

    /// Skips rows.
    pub(super) fn skip(mut self, rows: usize) -> Filter {
        self.push(" OFFSET ?", [number(rows)]);
        self
    }

    pub(super) fn args(&self) -> Vec<Arg<'_>> {
        self.values.iter().map(Value::arg).collect()
    }
}

/// Case-insensitive condition on part of a name.
pub(super) fn has_text(name: &str) -> String {
    format!("has_text({name}, ?)")
}

/// A number of rows.
pub(super) fn number(rows: usize) -> Value {
    Value::Long(i64::try_from(rows).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_in_their_order() {
        let mut filter = Filter::new("a = ?", [Value::Int(1)]);
        filter.and("b = ?", None);
        filter.and("(c = ? OR TRUE)", Some(Value::Int(2)));
        let filter = filter.page("id", 10).skip(3);
        assert_eq!(filter.sql, "a = $1 AND (c = $2 OR TRUE) ORDER BY id LIMIT $3 OFFSET $4");
        assert_eq!(filter.args().len(), 4);
    }
}
