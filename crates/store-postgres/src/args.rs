//! Parameters of statements with their types: a statement whose types are known needs no round trip to prepare it, and
//! no name, so that it works behind a pooler in transaction mode.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// A parameter and its type.
pub(crate) type Arg<'a> = (&'a (dyn ToSql + Sync), Type);

/// A Rust type that is one of PostgreSQL's.
pub(crate) trait Typed: ToSql + Sync {
    /// PostgreSQL's type.
    const TYPE: Type;
}

macro_rules! typed {
    ($($rust:ty => $name:ident, $array:ident;)*) => {
        $(
            impl Typed for $rust {
                const TYPE: Type = Type::$name;
            }
            impl Typed for Option<$rust> {
                const TYPE: Type = Type::$name;
            }
            impl Typed for Vec<$rust> {
                const TYPE: Type = Type::$array;
            }
            impl Typed for Vec<Option<$rust>> {
                const TYPE: Type = Type::$array;
            }
        )*
    };
}

typed! {
    bool => BOOL, BOOL_ARRAY;
    i16 => INT2, INT2_ARRAY;
    i32 => INT4, INT4_ARRAY;
    i64 => INT8, INT8_ARRAY;
    String => TEXT, TEXT_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    Uuid => UUID, UUID_ARRAY;
    Vec<u8> => BYTEA, BYTEA_ARRAY;
    &[u8] => BYTEA, BYTEA_ARRAY;
}

/// A parameter with its type.
pub(crate) fn arg<T: Typed>(value: &T) -> Arg<'_> {
    (value, T::TYPE)
}

/// The parameters of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::args::arg(&$value)),*][..] };
}

pub(crate) use args;

/// An owned parameter of a query that is put together.
pub(crate) enum Value {
    Int(i32),
    Long(i64),
    Text(String),
    Id(Uuid),
}

impl Value {
    pub(crate) fn arg(&self) -> Arg<'_> {
        match self {
            Value::Int(value) => arg(value),
            Value::Long(value) => arg(value),
            Value::Text(value) => arg(value),
            Value::Id(value) => arg(value),
        }
    }
}

/// A position, version or number of bytes as stored.
pub(crate) fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored number that is never negative.
pub(crate) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The number of a PIM, an hour or a generation as stored: PostgreSQL has no unsigned numbers.
pub(crate) fn int(number: u32) -> i32 {
    number.cast_signed()
}

/// The same, read.
pub(crate) fn unsigned(number: i32) -> u32 {
    number.cast_unsigned()
}
