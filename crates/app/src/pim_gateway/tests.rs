//! The gateway against a fake PIM on loopback.

mod fake_pim;

use std::time::Duration;

use domain::{PimId, Secret, testing};
use serde_json::json;

use super::*;
use crate::http_client;
use fake_pim::FakePim;

const GENUINE: Verdict = Verdict::Genuine { permission: None };

fn registered(url: &str, token_check: TokenCheck) -> Pim {
    Pim { id: PimId(1), url: url.into(), url_key: url.into(), token_check, ..testing::pim("shop") }
}

fn gateway() -> HttpGateway {
    HttpGateway::new(PimClient::new(http_client::client().unwrap(), Duration::from_millis(500)))
}

fn token_info(permission_field: Option<&str>) -> TokenCheck {
    let client_id_fields = ["client_id", "connection.client_id"].map(str::to_owned).to_vec();
    TokenCheck::TokenInfo {
        client_id_fields,
        permission_field: permission_field.map(str::to_owned),
        clients: Vec::new(),
    }
}

fn probe(trust_client_id: bool, clients: Vec<ClientCredentials>) -> TokenCheck {
    TokenCheck::Probe { probe: Probe::SystemInformation, trust_client_id, clients }
}

fn credentials(client: &str) -> Vec<ClientCredentials> {
    vec![ClientCredentials {
        client_id: ClientId(client.into()),
        client_secret: Secret::new("secret"),
        username: "robot".into(),
        password: Secret::new("pass"),
    }]
}

/// Verdict on client `app` with token `t0k` for a PIM with these responses (path, status, body).
async fn verdict(check: TokenCheck, answers: &[(&'static str, u16, &'static str)]) -> (Verdict, Vec<String>) {
    let pim = FakePim::start(answers).await;
    let verdict = gateway().verify(&registered(&pim.url(), check), &ClientId("app".into()), "t0k").await;
    (verdict, pim.asked())
}

const INFO: &str = "/api/rest/v1/token-info";
const PROBE: &str = "/api/rest/v1/system-information";
const GRANT: &str = "/api/oauth/v1/token";

#[tokio::test]
async fn token_info_names_the_client() {
    let (said, asked) = verdict(token_info(None), &[(INFO, 200, r#"{"client_id":"app"}"#)]).await;
    assert_eq!(said, GENUINE);
    assert_eq!(asked, ["GET /api/rest/v1/token-info Bearer t0k "]);
    let nested = verdict(token_info(None), &[(INFO, 200, r#"{"connection":{"client_id":"app"}}"#)]).await;
    assert_eq!(nested.0, GENUINE);
    let other =
        verdict(token_info(None), &[(INFO, 200, r#"{"client_id":"b","connection":{"client_id":"app"}}"#)]).await;
    assert_eq!(other.0, Verdict::Rejected { message: "the token was issued to another client".into() });
    let nameless = verdict(token_info(None), &[(INFO, 200, r#"{"clientId":"app"}"#)]).await;
    assert!(matches!(nameless.0, Verdict::UnprovenClient { message } if message.contains("connection.client_id")));
    let no_json = verdict(token_info(None), &[(INFO, 200, "<html>")]).await;
    assert!(matches!(no_json.0, Verdict::Unavailable { .. }));
}

#[tokio::test]
async fn token_info_may_tell_of_the_permission() {
    for (info, permission) in [
        (r#"{"client_id":"app","rights":{"events":true}}"#, Some(true)),
        (r#"{"client_id":"app","rights":{"events":false}}"#, Some(false)),
        (r#"{"client_id":"app"}"#, None),
    ] {
        let (said, _) = verdict(token_info(Some("rights.events")), &[(INFO, 200, info)]).await;
        assert_eq!(said, Verdict::Genuine { permission });
    }
}

#[tokio::test]
async fn verdicts_by_status() {
    let message = r#"{"code":401,"message":"The access token provided has expired."}"#;
    let (said, _) = verdict(token_info(None), &[(INFO, 401, message)]).await;
    assert_eq!(said, Verdict::Rejected { message: "The access token provided has expired.".into() });
    let (said, _) = verdict(token_info(None), &[(INFO, 401, "")]).await;
    assert_eq!(said, Verdict::Rejected { message: "the PIM rejects the token".into() });
    let (said, _) = verdict(probe(true, vec![]), &[(PROBE, 403, "{}")]).await;
    assert_eq!(said, Verdict::WebApiForbidden);
    for status in [302, 404, 429, 500, 503] {
        let (said, _) = verdict(token_info(None), &[(INFO, status, "{}")]).await;
        assert!(matches!(said, Verdict::Unavailable { message } if message.contains(&status.to_string())));
    }
}

#[tokio::test]
async fn a_pim_that_cannot_be_reached_or_hangs_is_unavailable() {
    let gateway = gateway();
    let gone = registered("http://127.0.0.1:1", token_info(None));
    let client = ClientId("app".into());
    assert!(matches!(gateway.verify(&gone, &client, "t0k").await, Verdict::Unavailable { .. }));
    let hanging = FakePim::hanging().await;
    let said = gateway.verify(&registered(&hanging.url(), token_info(None)), &client, "t0k").await;
    assert!(matches!(said, Verdict::Unavailable { message } if message.contains("0.5 s")));
}

#[tokio::test]
async fn a_probe_proves_a_client_only_where_the_operator_trusts_the_header() {
    let answers = [(PROBE, 200, "{}"), GRANTED];
    for clients in [vec![], credentials("other"), credentials("app")] {
        let (said, asked) = verdict(probe(false, clients), &answers).await;
        let Verdict::UnprovenClient { message } = said else { panic!("{said:?}") };
        assert!(message.contains("postrider client token add") && message.contains("trust_client_id"), "{message}");
        assert_eq!(asked.len(), 1, "the operator's credentials prove nothing about a caller");
    }
    for clients in [vec![], credentials("app")] {
        let (said, asked) = verdict(probe(true, clients), &answers).await;
        assert_eq!((said, asked.len()), (GENUINE, 1));
    }
    for trusts in [true, false] {
        let (said, _) = verdict(probe(trusts, vec![]), &[(PROBE, 401, "{}")]).await;
        assert!(matches!(said, Verdict::Rejected { .. }), "callers without a token learn nothing");
    }
}

#[tokio::test]
async fn registered_credentials_ask_by_a_password_grant() {
    let pim = FakePim::start(&[GRANTED, (PROBE, 200, "{}")]).await;
    let check = probe(false, credentials("app"));
    gateway().permission(&registered(&pim.url(), check), &ClientId("app".into())).await;
    let asked = pim.asked();
    // Basic app:secret
    assert!(asked[0].starts_with("POST /api/oauth/v1/token Basic YXBwOnNlY3JldA== {"), "{asked:?}");
    let body: Value = serde_json::from_str(asked[0].splitn(5, ' ').last().unwrap()).unwrap();
    assert_eq!(body, json!({"grant_type": "password", "username": "robot", "password": "pass"}));
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn a_token_that_cannot_stand_in_a_header_is_rejected() {
    let check = registered("http://127.0.0.1:1", token_info(None));
    let said = gateway().verify(&check, &ClientId("app".into()), "a\nb").await;
    assert!(matches!(said, Verdict::Rejected { .. }));
}

const GRANTED: (&str, u16, &str) = (GRANT, 200, r#"{"access_token":"x"}"#);

/// Permission of client `app`, checked without a token of its own.
async fn permission(check: TokenCheck, answers: &[(&'static str, u16, &'static str)]) -> Permission {
    let pim = FakePim::start(answers).await;
    gateway().permission(&registered(&pim.url(), check), &ClientId("app".into())).await
}

#[tokio::test]
async fn a_permission_is_asked_about_with_the_registered_credentials() {
    let clients = credentials("app");
    let hosted = |clients: &[ClientCredentials]| TokenCheck::TokenInfo {
        client_id_fields: vec!["client_id".into()],
        permission_field: Some("event_platform".into()),
        clients: clients.to_vec(),
    };
    let allowed = [GRANTED, (INFO, 200, r#"{"client_id":"app","event_platform":true}"#)];
    let withdrawn = [GRANTED, (INFO, 200, r#"{"client_id":"app","event_platform":false}"#)];
    assert_eq!(permission(hosted(&clients), &allowed).await, Permission::Allowed);
    assert_eq!(permission(hosted(&clients), &withdrawn).await, Permission::Withdrawn);
    assert_eq!(permission(hosted(&[]), &withdrawn).await, Permission::NotAsked);
    let known = || probe(false, credentials("app"));
    assert_eq!(permission(known(), &[GRANTED, (PROBE, 200, "{}")]).await, Permission::Allowed);
    assert_eq!(permission(known(), &[GRANTED, (PROBE, 403, "{}")]).await, Permission::Withdrawn);
    assert_eq!(permission(probe(false, credentials("other")), &[]).await, Permission::NotAsked);
    assert_eq!(permission(probe(true, vec![]), &[]).await, Permission::NotAsked);
}

#[tokio::test]
async fn only_a_clear_word_withdraws_a_permission() {
    for answers in
        [&[(GRANT, 422, "{}")][..], &[(GRANT, 503, "")], &[GRANTED, (PROBE, 500, "")], &[GRANTED, (PROBE, 401, "{}")]]
    {
        let said = permission(probe(false, credentials("app")), answers).await;
        assert!(matches!(said, Permission::Unknown { .. }), "{answers:?}: {said:?}");
    }
}
