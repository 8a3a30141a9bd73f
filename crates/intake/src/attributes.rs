//! Attribute types: from the PIM's REST API if there are credentials, else inferred from values.
//!
//! The PIM is never asked during a request, which must be answered within 0.5 s. Types are fetched in the background
//! and cached for an hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::PimId;
use domain::pim::Pim;
use parking_lot::Mutex;
use tokio::time::Instant;
use wire::json::Value;

/// Types change almost never; new attributes appear occasionally.
const FRESH: Duration = Duration::from_secs(3600);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(60);

/// Fetches attributes from PIMs.
#[async_trait]
pub trait AttributeSource: Send + Sync + 'static {
    /// All attribute codes of a PIM with their types; `None` without credentials. The error is for the operator.
    async fn attribute_types(&self, pim: &Pim) -> Result<Option<HashMap<String, String>>, String>;
}

/// Known types of a PIM's attributes.
#[derive(Clone, Debug, Default)]
pub struct Types(Arc<HashMap<String, Arc<str>>>);

impl Types {
    /// Adds these codes with their types.
    pub fn of<C: Into<String>, T: AsRef<str>>(types: impl IntoIterator<Item = (C, T)>) -> Types {
        // A PIM has thousands of attributes of a dozen types.
        let mut names: HashMap<String, Arc<str>> = HashMap::new();
        let mut name = |of: &str| names.entry(of.to_owned()).or_insert_with(|| of.into()).clone();
        Types(Arc::new(types.into_iter().map(|(code, of)| (code.into(), name(of.as_ref()))).collect()))
    }

    /// Type of an attribute.
    pub fn get(&self, code: &str) -> Option<Arc<str>> {
        self.0.get(code).cloned()
    }

    /// Attributes of a type.
    pub fn codes_of<'t>(&'t self, of: &'t str) -> impl Iterator<Item = &'t str> {
        self.0.iter().filter(move |(_, name)| &***name == of).map(|(code, _)| code.as_str())
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The type that is evident from a value, usually none: a text may be a text, a select or a reference.
pub fn guess(data: &Value) -> Option<&'static str> {
    match data {
        Value::Bool(_) => Some("pim_catalog_boolean"),
        Value::Number(_) => Some("pim_catalog_number"),
        Value::Object(_) if data.get("amount").is_some() && data.get("unit").is_some() => Some("pim_catalog_metric"),
        Value::Array(items) if !items.is_empty() => {
            let price = |item: &Value| item.get("amount").is_some() && item.get("currency").is_some();
            items.iter().all(price).then_some("pim_catalog_price_collection")
        }
        _ => None,
    }
}

/// Knowledge about a PIM.
struct Known {
    types: Types,
    /// Time of the next fetch.
    next: Instant,
}

/// The attribute types of all PIMs.
pub(crate) struct Attributes {
    source: Option<Arc<dyn AttributeSource>>,
    known: Arc<Mutex<HashMap<PimId, Known>>>,
}

impl Attributes {
    pub(crate) fn new(source: Option<Arc<dyn AttributeSource>>) -> Attributes {
        Attributes { source, known: Arc::default() }
    }

    /// The types known now. If they are old or missing, they are fetched in the background.
    pub(crate) fn of(&self, pim: &Arc<Pim>) -> Types {
        let Some(source) = &self.source else { return Types::default() };
        let now = Instant::now();
        let types = {
            let mut known = self.known.lock();
            let known = known.entry(pim.id).or_insert_with(|| Known { types: Types::default(), next: now });
            if now < known.next {
                return known.types.clone();
            }
            // No other task fetches meanwhile.
            known.next = now + RETRY;
            known.types.clone()
        };
        let (source, pim, known) = (Arc::clone(source), Arc::clone(pim), Arc::clone(&self.known));
        tokio::spawn(async move {
            match source.attribute_types(&pim).await {
                Ok(found) => {
                    let types = found.map(Types::of).unwrap_or_default();
                    known.lock().insert(pim.id, Known { types, next: Instant::now() + FRESH });
                }
                Err(why) => {
                    tracing::warn!(
                        pim.name = %pim.name, %why,
                        "could not fetch the PIM's attribute types; deltas use the known ones"
                    );
                }
            }
        });
        types
    }

    /// The PIM's current types, unless they were fetched recently: for callers that can wait.
    pub(crate) async fn fetched(&self, pim: &Pim) -> Result<Types, String> {
        let Some(source) = &self.source else { return Ok(Types::default()) };
        let fresh = |known: &&Known| Instant::now() < known.next && !known.types.is_empty();
        if let Some(known) = self.known.lock().get(&pim.id).filter(fresh) {
            return Ok(known.types.clone());
        }
        let types = source.attribute_types(pim).await?.map(Types::of).unwrap_or_default();
        self.known.lock().insert(pim.id, Known { types: types.clone(), next: Instant::now() + FRESH });
        Ok(types)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use domain::testing;

    use super::*;

    #[test]
    fn only_unambiguous_types_are_guessed() {
        let check = |data: &str, expect| {
            assert_eq!(guess(&wire::json::parse(data.as_bytes()).unwrap()), expect, "{data}");
        };
        check("true", Some("pim_catalog_boolean"));
        check("1.5", Some("pim_catalog_number"));
        check(r#"{"amount":"1","unit":"GRAM"}"#, Some("pim_catalog_metric"));
        check(r#"[{"amount":"1","currency":"EUR"}]"#, Some("pim_catalog_price_collection"));
        for unclear in [r#""12""#, r#"["a"]"#, "[]", "{}", r#"[{"amount":"1"}]"#, r#""2011-05-19""#] {
            check(unclear, None);
        }
    }

    struct Scripted(AtomicUsize);

    #[async_trait]
    impl AttributeSource for Scripted {
        async fn attribute_types(&self, _: &Pim) -> Result<Option<HashMap<String, String>>, String> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Err("not reachable".to_owned()),
                call => Ok(Some(HashMap::from([("name".to_owned(), format!("type {call}"))]))),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pim_is_asked_in_the_background_and_now_and_then() {
        let pim = Arc::new(Pim { id: PimId(1), ..testing::pim("main") });
        let source = Arc::new(Scripted(AtomicUsize::new(0)));
        let attributes = Attributes::new(Some(Arc::clone(&source) as Arc<dyn AttributeSource>));
        let mut seen = Vec::new();
        // Minutes from the start, and the type known then.
        for (minutes, expect) in [
            (0, None),
            (0, None),
            (1, None),
            (2, Some("type 1")),
            (59, Some("type 1")),
            (62, Some("type 1")),
            (63, Some("type 2")),
        ] {
            let passed = seen.iter().sum::<u64>();
            tokio::time::advance(Duration::from_secs(60 * (minutes - passed))).await;
            seen.push(minutes - passed);
            assert_eq!(attributes.of(&pim).get("name").as_deref(), expect, "after {minutes} minutes");
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(source.0.load(Ordering::SeqCst), 3);
    }
}
