//! The subscribers of a client.

use axum::response::Response;
use maud::{Markup, html};

use super::owned::{self, Owned};
use crate::answer::Look;
use crate::layout::{Page, Place};
use crate::table;
use crate::visit::{Problem, Visit};
use crate::words;

/// The list.
pub(crate) async fn list(visit: Visit) -> Result<Response, Problem> {
    visit.must_be_client()?;
    let all = owned::all(&visit).await?;
    Ok(Page::new(&visit, Place::Subscribers, "Subscribers").show(table_of(&visit, &all)))
}

/// The list as a section of another page.
pub(super) fn section(visit: &Visit, all: &[Owned]) -> Markup {
    html! {
        section aria-labelledby="subscribers" {
            h2 id="subscribers" { "Subscribers" }
            (table_of(visit, all))
        }
    }
}

fn table_of(visit: &Visit, all: &[Owned]) -> Markup {
    html! {
        @if visit.may_manage() { div.actions { a.button href="/console/subscribers/new" { "New subscriber" } } }
        @if all.is_empty() {
            (table::empty("No subscribers yet.", html! {
                "A subscriber is an account of this client with a technical contact for notifications."
            }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Subscribers and their subscriptions" {
                table {
                    thead { tr {
                        th scope="col" { "Name" } th scope="col" { "Status" }
                        th.number scope="col" { "Subscriptions" } th scope="col" { span.hidden { "Action" } }
                    } }
                    tbody { @for owned in all { (subscriber(visit, owned)) } }
                }
            }
        }
    }
}

fn subscriber(visit: &Visit, Owned { subscriber, subscriptions, .. }: &Owned) -> Markup {
    let path = format!("/console/subscribers/{}", subscriber.text("/id"));
    html! {
        tr {
            th scope="row" { a href=(path) { (subscriber.text("/name")) } }
            td { (words::badge(subscriber.text("/status"))) }
            td.number { (subscriptions.len()) }
            td {
                @if visit.may_change() && subscriber.text("/status") == "active" {
                    a href={ (path) "/subscriptions/new" } { "New subscription" }
                }
            }
        }
    }
}
