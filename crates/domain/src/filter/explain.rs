//! Explains a filter in plain words.

use std::fmt::Write;

use super::expr::{Condition, Expr, Field, Quoted};

/// Describes which events pass.
pub(super) fn explain(expr: &Expr) -> String {
    let mut out = String::from("An event passes when ");
    tell(&mut out, expr, true, 0);
    if !out.contains('\n') {
        out.push('.');
    }
    if expr.conditions().any(|condition| condition.field.is_delta_field()) {
        out.push_str(
            "\nOnly product.updated.delta and product-model.updated.delta contain changes; in events of other types \
             nothing \
             counts as changed.",
        );
    }
    out
}

/// Describes when the expression is true, or (`holds` false) when it is not.
fn tell(out: &mut String, expr: &Expr, holds: bool, depth: usize) {
    match expr {
        Expr::Not(inner) => tell(out, inner, !holds, depth),
        Expr::Condition(condition) => out.push_str(&tell_condition(condition, holds)),
        Expr::And(parts) => {
            out.push_str(if holds { "all of these hold:" } else { "at least one of these does not hold:" });
            tell_parts(out, parts, depth);
        }
        Expr::Or(parts) => {
            out.push_str(if holds { "at least one of these holds:" } else { "none of these holds:" });
            tell_parts(out, parts, depth);
        }
    }
}

fn tell_parts(out: &mut String, parts: &[Expr], depth: usize) {
    for part in parts {
        // Writing to a string does not fail.
        let _ = write!(out, "\n{:1$}- ", "", depth * 2);
        tell(out, part, true, depth + 1);
    }
}

fn tell_condition(condition: &Condition, holds: bool) -> String {
    let quoted: Vec<String> = condition.values.as_slice().iter().map(|value| Quoted(value).to_string()).collect();
    let values = match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => quoted.concat(),
    };
    match condition.field {
        Field::User if holds => format!("the author is {values}"),
        Field::User => format!("the author is not {values}, or is unknown"),
        Field::UserType if holds => format!("the author's type is {values}"),
        Field::UserType => format!("the author's type is not {values}, or is unknown"),
        Field::Attribute if holds => format!("the attribute {values} was changed"),
        Field::Attribute => format!("no attribute {values} was changed"),
        Field::Scope | Field::Channel if holds => {
            format!("a value was changed for the channel {values} or for all channels")
        }
        Field::Scope | Field::Channel => {
            format!("no value was changed for the channel {values} or for all channels")
        }
        Field::Locale if holds => {
            format!("a value was changed for the locale {values} or for all locales")
        }
        Field::Locale => format!("no value was changed for the locale {values} or for all locales"),
    }
}
