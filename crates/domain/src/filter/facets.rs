//! The properties of an event that filters test, read from its data once and shared by all filters.

use std::borrow::Cow;

use crate::event_type::{PRODUCT_MODEL_UPDATED_DELTA, PRODUCT_UPDATED_DELTA};
use crate::scan::Scan;

/// The facets of an event. Borrows from its data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facets<'a> {
    user: Option<Cow<'a, str>>,
    user_type: Option<Cow<'a, str>>,
    attributes: Codes<'a>,
    scopes: Codes<'a>,
    locales: Codes<'a>,
}

/// A set of codes, and whether a value without a code was among them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Codes<'a> {
    /// Sorted, no duplicates.
    codes: Vec<Cow<'a, str>>,
    none: bool,
}

impl<'a> Facets<'a> {
    /// Reads the facets of an event. `data` is its data as JSON text.
    pub fn of(event_type: &str, data: &'a str) -> Facets<'a> {
        let entity = match event_type {
            PRODUCT_UPDATED_DELTA => Some("product"),
            PRODUCT_MODEL_UPDATED_DELTA => Some("product_model"),
            _ => None,
        };
        let mut facets = Facets::default();
        Scan::new(data).members(|scan, key| match &*key {
            "author" => facets.read_author(scan),
            key if Some(key) == entity => scan.members(|scan, key| match &*key {
                "changes" => facets.read_changes(scan),
                _ => scan.skip(),
            }),
            _ => scan.skip(),
        });
        for codes in [&mut facets.attributes, &mut facets.scopes, &mut facets.locales] {
            codes.codes.sort_unstable();
            codes.codes.dedup();
        }
        facets
    }

    /// The author's identifier.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The author's type.
    pub fn user_type(&self) -> Option<&str> {
        self.user_type.as_deref()
    }

    /// The changed attributes; none unless the event is a delta.
    pub fn attributes(&self) -> &Codes<'a> {
        &self.attributes
    }

    /// The scopes of the changed values.
    pub fn scopes(&self) -> &Codes<'a> {
        &self.scopes
    }

    /// The locales of the changed values.
    pub fn locales(&self) -> &Codes<'a> {
        &self.locales
    }

    fn read_author(&mut self, scan: &mut Scan<'a>) {
        scan.members(|scan, key| match &*key {
            "identifier" => self.user = scan.string(),
            "type" => self.user_type = scan.string(),
            _ => scan.skip(),
        });
    }

    fn read_changes(&mut self, scan: &mut Scan<'a>) {
        scan.members(|scan, key| match &*key {
            "values" => scan.members(|scan, attribute| {
                self.attributes.codes.push(attribute);
                scan.items(|scan| self.read_value(scan));
            }),
            "table_attributes" => scan.members(|scan, key| match &*key {
                "added" | "removed" => scan.items(|scan| self.read_table_attribute(scan)),
                _ => scan.skip(),
            }),
            _ => scan.skip(),
        });
    }

    /// An entry of `changes.values`. A missing or `null` scope means a non-scopable attribute.
    fn read_value(&mut self, scan: &mut Scan<'a>) {
        if scan.kind() != Some(crate::scan::Kind::Object) {
            return scan.skip();
        }
        let (mut has_scope, mut has_locale) = (false, false);
        scan.members(|scan, key| match &*key {
            "scope" | "channel" => has_scope |= self.scopes.read(scan),
            "locale" => has_locale |= self.locales.read(scan),
            _ => scan.skip(),
        });
        self.scopes.none |= !has_scope;
        self.locales.none |= !has_locale;
    }

    fn read_table_attribute(&mut self, scan: &mut Scan<'a>) {
        scan.members(|scan, key| match &*key {
            "attribute" | "attribute_code" | "code" => {
                self.attributes.read(scan);
            }
            _ => scan.skip(),
        });
    }
}

impl<'a> Codes<'a> {
    /// Reads the next code; `null` counts as none.
    fn read(&mut self, scan: &mut Scan<'a>) -> bool {
        let null = scan.kind() == Some(crate::scan::Kind::Null);
        self.codes.extend(scan.string());
        !null
    }

    /// Whether one of the values is in the set, or a value without a code (which matches everything).
    pub fn has_one_of(&self, values: &[impl AsRef<str>]) -> bool {
        /// Linear search is faster up to this size; larger sets use binary search, so that a huge event does not slow
        /// every filter.
        const FEW: usize = 8;
        let codes = self.codes.as_slice();
        self.none
            || values.iter().map(AsRef::as_ref).any(|value| match codes.len() {
                ..=FEW => codes.iter().any(|code| *code == value),
                _ => codes.binary_search_by(|code| (**code).cmp(value)).is_ok(),
            })
    }

    /// The codes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.codes.iter().map(|code| &**code)
    }

    /// Whether a value without a code was among them.
    pub fn has_none(&self) -> bool {
        self.none
    }
}
