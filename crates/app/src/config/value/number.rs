//! Numbers with their ranges and units.

use super::{Typed, Value, quoted};
use crate::config::typed::Kind;
use crate::config::units;

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl Value for Size {
    fn expected() -> String {
        "a size such as \"256 KiB\" or \"64 MiB\"".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        match &typed.kind {
            Kind::Number(number) => number.parse().ok().map(Size),
            _ => units::parse_size(typed.text()?).map(Size),
        }
    }
    fn show(&self) -> String {
        quoted(&units::show_size(self.0))
    }
}

/// Events or requests per second, more than 0.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct PerSecond(pub(crate) f64);

impl Value for PerSecond {
    fn expected() -> String {
        "a number per second above 0, such as 100 or 0.5".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        let number: f64 = text.trim().parse().ok()?;
        (number.is_finite() && number > 0.0).then_some(PerSecond(number))
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A whole number of at least 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(crate) struct Count(pub(crate) usize);

impl Value for Count {
    fn expected() -> String {
        "a whole number of at least 1".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().filter(|number| *number > 0).map(Count)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Deliveries per second to one host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HostRate(pub(crate) u32);

impl Value for HostRate {
    fn expected() -> String {
        "a whole number per second from 1 to 100000".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().filter(|number| (1..=100_000).contains(number)).map(HostRate)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A number of connections to a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Connections(pub(crate) usize);

impl Value for Connections {
    fn expected() -> String {
        "a whole number from 1 to 100".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().filter(|number| (1..=100).contains(number)).map(Connections)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A whole number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Amount(pub(crate) usize);

impl Value for Amount {
    fn expected() -> String {
        "a whole number, 0 or more".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().map(Amount)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A fraction from 0 to 1.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct Share(pub(crate) f64);

impl Value for Share {
    fn expected() -> String {
        "a number from 0 to 1, such as 0.01".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        let number: f64 = text.trim().parse().ok()?;
        (0.0..=1.0).contains(&number).then_some(Share(number))
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A port; 0 means the default or any free port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Port(pub(crate) u16);

impl Value for Port {
    fn expected() -> String {
        "a port from 1 to 65535, or 0 for the default".to_owned()
    }
    fn read(typed: &Typed) -> Option<Self> {
        let (Kind::Number(text) | Kind::Bare(text)) = &typed.kind else { return None };
        text.trim().parse().ok().map(Port)
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}
