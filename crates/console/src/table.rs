//! Common parts of lists: sortable column heads, links to the next page, and what an empty list says.

use maud::{Markup, html};

use crate::query::Pairs;

/// Rows on one page of a list that is paged by the console.
pub(crate) const ROWS: usize = 25;

/// One page of a list.
pub(crate) struct Paged<T> {
    /// The rows.
    pub(crate) rows: Vec<T>,
    /// Number of rows of all pages.
    pub(crate) of: usize,
    /// Number of the page, from 1.
    pub(crate) page: usize,
}

impl<T> Paged<T> {
    /// The page that a query names; the nearest one if there is no such page.
    pub(crate) fn of(all: Vec<T>, query: &Pairs) -> Paged<T> {
        let of = all.len();
        let last = of.div_ceil(ROWS).max(1);
        let page = query.get("page").parse().unwrap_or(1).clamp(1, last);
        Paged { rows: all.into_iter().skip((page - 1) * ROWS).take(ROWS).collect(), of, page }
    }

    /// Links to the neighbouring pages; empty if there is only one.
    /// They lead to the section with the list.
    pub(crate) fn links(&self, path: &str, query: &Pairs, section: &str) -> Markup {
        let last = self.of.div_ceil(ROWS).max(1);
        let to = |page: usize| format!("{path}{}#{section}", query.with("page", &page.to_string()).query());
        html! {
            @if last > 1 {
                nav.pages aria-label="Pages" {
                    @if self.page > 1 { a rel="prev" href=(to(self.page - 1)) { "Previous" } }
                    span { "Page " (self.page) " of " (last) }
                    @if self.page < last { a rel="next" href=(to(self.page + 1)) { "Next" } }
                }
            }
        }
    }
}

/// Links for a list that is paged by the API: back to its start, and on to the page behind a cursor.
pub(crate) fn cursor_links(path: &str, query: &Pairs, name: &str, next: Option<&str>) -> Markup {
    let behind = query.has(name);
    html! {
        @if behind || next.is_some() {
            nav.pages aria-label="Pages" {
                @if behind { a href={ (path) (query.with(name, "").query()) } { "First page" } }
                @if let Some(next) = next {
                    a rel="next" href={ (path) (query.with(name, next).query()) } { "Next page" }
                }
            }
        }
    }
}

/// Head of a sortable column: a link that sorts by it, and in the other direction if the list is sorted by it already.
pub(crate) fn sortable(path: &str, query: &Pairs, name: &str, label: &str) -> Markup {
    sortable_as(None, path, query, name, label)
}

/// The same for a column of numbers.
pub(crate) fn sortable_number(path: &str, query: &Pairs, name: &str, label: &str) -> Markup {
    sortable_as(Some("number"), path, query, name, label)
}

fn sortable_as(class: Option<&str>, path: &str, query: &Pairs, name: &str, label: &str) -> Markup {
    let current = query.get("sort");
    let (sorted, to) = match current.strip_prefix('-') {
        Some(field) if field == name => (Some("descending"), name.to_owned()),
        None if current == name => (Some("ascending"), format!("-{name}")),
        _ => (None, name.to_owned()),
    };
    let to = format!("{path}{}", query.with("page", "").with("sort", &to).query());
    html! { th class=[class] scope="col" aria-sort=[sorted] { a href=(to) { (label) } } }
}

/// What an empty list says: what would fill it, and how.
pub(crate) fn empty(what: &str, how: Markup) -> Markup {
    html! { div.empty { p { strong { (what) } } p { (how) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: usize, query: &str, expect: (usize, usize), links: &[&str]) {
        let query = Pairs::parse(query);
        let paged = Paged::of((0..rows).collect(), &query);
        assert_eq!((paged.page, paged.rows.len()), expect, "{query:?}");
        let shown = paged.links("/console/x", &query, "list").into_string();
        for link in links {
            assert!(shown.contains(link), "{link} in {shown}");
        }
        assert_eq!(shown.matches("<a ").count(), links.len(), "{shown}");
    }

    #[test]
    fn lists_are_paged() {
        check(0, "", (1, 0), &[]);
        check(25, "", (1, 25), &[]);
        check(26, "q=a%26b", (1, 25), &["href=\"/console/x?q=a%26b&amp;page=2#list\""]);
        check(60, "page=2", (2, 25), &["page=1", "page=3"]);
        check(60, "page=99", (3, 10), &["page=2"]);
        check(60, "page=0", (1, 25), &["page=2"]);
        check(60, "page=x", (1, 25), &["page=2"]);
    }

    #[test]
    fn cursors_lead_on_and_back() {
        let check = |query: &str, next: Option<&str>, links: usize| {
            let shown = cursor_links("/console/log", &Pairs::parse(query), "cursor", next).into_string();
            assert_eq!(shown.matches("<a ").count(), links, "{shown}");
        };
        check("", None, 0);
        check("", Some("c1"), 1);
        check("cursor=c1", Some("c2"), 2);
        check("cursor=c2", None, 1);
    }

    #[test]
    fn a_column_sorts_both_ways() {
        let check = |query: &str, sorted: &str, to: &str| {
            let shown = sortable("/p", &Pairs::parse(query), "status", "Status").into_string();
            assert!(shown.contains(to) && shown.contains(sorted), "{shown}");
        };
        check("", "<th scope=\"col\">", "sort=status");
        check("sort=status&page=3", "aria-sort=\"ascending\"", "href=\"/p?sort=-status\"");
        check("sort=-status", "aria-sort=\"descending\"", "sort=status");
        check("sort=other", "<th scope=\"col\">", "sort=status");
    }
}
