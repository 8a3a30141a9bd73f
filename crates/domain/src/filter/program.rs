//! The flat form of a filter: a list of tests, each with a target for true and one for false. The targets encode `and`,
//! `or` and `not`, so that evaluation needs no stack and repeats no test.

use super::expr::{Condition, Expr, Field};
use super::facets::Facets;

/// Target of a jump: a step or a verdict.
type Target = u8;
/// The event passes. A filter has at most 11 conditions, so no step has this number.
const PASS: Target = Target::MAX;
/// The event is filtered out.
const PASS_OVER: Target = Target::MAX - 1;

pub(super) struct Program {
    /// In reverse order of evaluation.
    steps: Box<[Step]>,
}

struct Step {
    field: Field,
    values: Box<[Box<str>]>,
    yes: Target,
    no: Target,
}

impl Program {
    pub(super) fn compile(expr: &Expr) -> Program {
        let mut steps = Vec::new();
        add(&mut steps, expr, PASS, PASS_OVER);
        Program { steps: steps.into_boxed_slice() }
    }

    pub(super) fn run(&self, facets: &Facets<'_>) -> bool {
        let mut next = self.steps.last();
        while let Some(step) = next {
            let target = if step.holds(facets) { step.yes } else { step.no };
            if target >= PASS_OVER {
                return target == PASS;
            }
            next = self.steps.get(usize::from(target));
        }
        false
    }
}

/// Adds the steps of an expression from end to beginning, so that every target already exists; returns the first step.
fn add(steps: &mut Vec<Step>, expr: &Expr, yes: Target, no: Target) -> Target {
    match expr {
        Expr::Not(inner) => add(steps, inner, no, yes),
        Expr::And(parts) => parts.iter().rev().fold(yes, |next, part| add(steps, part, next, no)),
        Expr::Or(parts) => parts.iter().rev().fold(no, |next, part| add(steps, part, yes, next)),
        Expr::Condition(Condition { field, values }) => {
            let values = values.as_slice().iter().map(|value| value.as_str().into()).collect();
            steps.push(Step { field: *field, values, yes, no });
            (steps.len() - 1) as Target
        }
    }
}

impl Step {
    fn holds(&self, facets: &Facets<'_>) -> bool {
        match self.field {
            Field::User => self.is(facets.user()),
            Field::UserType => self.is(facets.user_type()),
            Field::Attribute => facets.attributes().has_one_of(&self.values),
            Field::Scope | Field::Channel => facets.scopes().has_one_of(&self.values),
            Field::Locale => facets.locales().has_one_of(&self.values),
        }
    }

    fn is(&self, facet: Option<&str>) -> bool {
        facet.is_some_and(|facet| self.values.iter().any(|value| **value == *facet))
    }
}
