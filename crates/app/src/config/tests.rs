//! Rejected configurations: place, message, hint.

use std::path::Path;

use domain::Secret;

use super::*;

fn read(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Refused> {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut layers = Layers::default();
    layers.add_file(Path::new("p.toml"), file);
    layers.add_environment(pairs(environment));
    layers.add_flags(&pairs(flags));
    Config::ready(layers, Some("p.toml".into()))
}

fn check_refused(file: &str, expect: &str) {
    let refused = match read(file, &[], &[]) {
        Ok(_) => panic!("this was accepted:\n{file}"),
        Err(refused) => refused.to_string(),
    };
    assert!(refused.contains(expect), "expected to find\n  {expect}\nin\n{refused}");
}

#[test]
fn an_empty_configuration_is_valid() {
    let config = read("", &[], &[]).unwrap();
    assert_eq!(config.settings.delivery.rate_first.0, 10.0);
    assert!(config.pims.is_empty());
}

#[test]
fn flags_win_over_the_environment_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\n[delivery]\nrate_first = 5\nmax_in_flight = 2\nrate_highest = 50\n";
    let environment = [("POSTRIDER_DELIVERY_RATE_FIRST", "6"), ("POSTRIDER_DELIVERY_MAX_IN_FLIGHT", "3")];
    let config = read(file, &environment, &[("delivery.max_in_flight", "4")]).unwrap();
    assert_eq!(config.settings.top.listen.port(), 1);
    assert_eq!(config.settings.delivery.rate_highest.0, 50.0);
    assert_eq!(config.settings.delivery.rate_first.0, 6.0);
    assert_eq!(config.settings.delivery.max_in_flight.0, 4);

    let text = config.effective();
    let origin = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ="))).unwrap();
        line.split_once("  # ").unwrap().1.to_owned()
    };
    assert_eq!(origin("listen"), "p.toml:1:10");
    assert_eq!(origin("rate_first"), "environment variable POSTRIDER_DELIVERY_RATE_FIRST");
    assert_eq!(origin("max_in_flight"), "flag --delivery-max-in-flight");
    assert_eq!(origin("rate_lowest"), "default");
}

#[test]
fn lists_from_the_environment_are_separated_by_commas() {
    let config = read("", &[("POSTRIDER_ALLOW_NETWORKS", "127.0.0.0/8, ::1")], &[]).unwrap();
    let networks: Vec<_> = config.settings.top.allow_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["127.0.0.0/8", "::1/128"]);
}

#[test]
fn wrong_values_are_refused_with_their_place() {
    check_refused("listen = 8080", "p.toml:1:10: `listen`: expected an address and a port");
    check_refused(
        "\n\n[delivery]\n  rate_first = \"fast\"",
        "p.toml:4:16: `delivery.rate_first`: expected a number per second",
    );
    check_refused(
        "[delivery]\nretry_delays = [\"5m\",\n  \"ten\"]",
        "p.toml:3:3: `delivery.retry_delays`: expected a list; each item a duration",
    );
    check_refused("[delivery]\nattempt_timeout = 5", "expected a duration with its unit, such as \"500ms\", \"5s\"");
    check_refused("[delivery]\nattempt_timeout = \"0s\"", "`delivery.attempt_timeout`: must be more than zero");
    check_refused("[ingest]\nunknown_types = \"ignore\"", "one of \"accept\", \"reject\", found \"ignore\"");
    check_refused("allow_networks = [\"10.0.0.0/33\"]", "p.toml:1:19: `allow_networks`");
    check_refused("public_url = \"ftp://x\"", "`public_url`: expected a URL");
    check_refused("allow_http_destinations = \"yes\"", "expected true or false, found \"yes\"");
    check_refused("[delivery]\nmax_in_flight = 0", "a whole number of at least 1, found 0");
    check_refused("[delivery]\nmax_in_flight = 1979-05-27", "found 1979-05-27");
    check_refused("extra_roots = [\"/nowhere/at/all.pem\"]", "`extra_roots`: /nowhere/at/all.pem: No such file");
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known_one() {
    check_refused("lisen = \"x\"", "p.toml:1:1: `lisen`: unknown setting\n  hint: did you mean `listen`?");
    check_refused("rate_first = 3", "did you mean `delivery.rate_first`? It belongs to the table `[delivery]`");
    check_refused("[delivry]\nrate_first = 3", "`delivry`: unknown setting");
    check_refused(
        "[delivery]\nrate_frist = 3",
        "p.toml:2:1: `delivery.rate_frist`: unknown setting\n  hint: did you mean `delivery.rate_first`",
    );
    check_refused("[pims]\nname = \"x\"", "`pims`: must be written as one table `[[pims]]` per PIM");
    check_refused("delivery = 3", "`delivery`: must be a table: `[delivery]`");
    check_refused("top = 3", "`top`: unknown setting");
}

#[test]
fn invalid_toml_is_rejected_with_its_position() {
    check_refused("listen = \"x\nsource = 3", "p.toml:1:");
    check_refused("a = 1\na = 2", "invalid TOML: duplicate key");
}

#[test]
fn all_faults_are_reported_at_once() {
    let refused = read("lisen = 1\nsource = 3\n[delivery]\nrate_first = -1\n", &[], &[]).unwrap_err();
    assert_eq!(refused.faults.len(), 3, "{refused}");
}

#[test]
fn wrong_environment_variables_and_flags_are_named() {
    let refused =
        |environment: &[(&str, &str)], flags: &[(&str, &str)]| read("", environment, flags).unwrap_err().to_string();
    assert!(refused(&[("POSTRIDER_LISTEN", "here")], &[]).contains("environment variable POSTRIDER_LISTEN: `listen`"));
    assert!(
        refused(&[], &[("delivery.rate_first", "x")]).contains("flag --delivery-rate-first: `delivery.rate_first`")
    );
}

#[test]
fn an_environment_variable_that_is_nearly_a_setting_is_warned_about() {
    let config = read("", &[("POSTRIDER_LISTN", "x"), ("POSTRIDER_SERVICE_HOST", "10.0.0.1")], &[]).unwrap();
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("did you mean POSTRIDER_LISTEN?"));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    check_refused(
        "[delivery]\nrate_lowest = 200",
        "p.toml:2:15: `delivery.rate_lowest`: is above `delivery.rate_highest`",
    );
    check_refused("[delivery]\nrate_first = 200", "200 is not between");
    for wrong in ["0", "100001", "1.5"] {
        let file = format!("[delivery]\nhost_rate = {wrong}");
        check_refused(&file, "`delivery.host_rate`: expected a whole number per second from 1 to 100000");
    }
    check_refused("[delivery]\nsuspend_after = \"61m\"", "`delivery.suspend_after`: must be at most 1h");
    check_refused("[delivery]\ntopic_patience = \"59m\"", "`delivery.topic_patience`: must be between 1h");
    check_refused("[delivery]\ntopic_patience = \"400d\"", "`delivery.topic_patience`: must be between 1h");
}

const PIM: &str = "[[pims]]\nname = \"main\"\nurl = \"https://pim.example.com/\"\n";

#[test]
fn a_pim_needs_little() {
    let config = read(PIM, &[], &[]).unwrap();
    assert_eq!(config.pims[0].url.url, "https://pim.example.com");
    assert!(matches!(config.pims[0].token_check, domain::pim::TokenCheck::TokenInfo { .. }));
    assert!(config.pims[0].keys.is_none());
}

#[test]
fn wrong_pims_are_refused() {
    let check = |more: &str, expect: &str| check_refused(&format!("{PIM}{more}"), expect);
    check("keys = [\"short\"]", "`pims.keys`: a key is shorter than 16 characters");
    check("key = \"x\"", "`pims.key`: unknown field\n  hint: did you mean `keys`?");
    check("token_check = \"ask\"", "`pims.token_check`: expected one of \"token-info\", \"system-information\"");
    check("trust_client_id = true", "requires `system-information` or `measurement-families`");
    check("static_tokens = [{ client_id = \"a\" }]", "`pims.static_tokens.token`: is missing");
    check(
        "static_tokens = [{ client_id = \"a\", token = \"t\", tokn = 1 }]",
        "`pims.static_tokens.tokn`: unknown field",
    );
    check(PIM, "there are two PIMs named \"main\"");
    check("keys = [\"sixteen chars and blanks\"]", "a key contains spaces");
    check("static_tokens = [{ client_id = \"a\", token = \"a b\" }]", "`pims.static_tokens.token`: contains spaces");
    check("static_tokens = [{ client_id = \"a\", token = \"pt_x\" }]", "begins with `pt_`");
    check("static_tokens = [{ client_id = \" a\", token = \"t\" }]", "`pims.static_tokens.client_id`: contains spaces");
    check("events_api_secret = \" s\"", "has leading or trailing spaces");
    check_refused("[[pims]]\nname = \"Main\"\nurl = \"https://x.example\"", "expected 1 to 63 lower-case letters");
    check_refused("[[pims]]\nname = \"main\"", "p.toml:1:1: `pims.url`: is missing");
}

#[test]
fn a_secret_ends_before_its_line_break() {
    let with = |end: &str| {
        let key = "k".repeat(24) + end;
        read("", &[("POSTRIDER_API_OPERATOR_KEY", &key)], &[]).map(|config| config.settings.api.operator_key)
    };
    for end in ["", "\n", "\r\n"] {
        assert_eq!(with(end).unwrap(), Some(Secret::new("k".repeat(24))), "{end:?}");
    }
    for end in [" ", "\n\n", "\t", " \n", "ä"] {
        assert!(with(end).unwrap_err().to_string().contains("`api.operator_key`"), "{end:?}");
    }
}

#[test]
fn a_pim_may_have_credentials_and_trust_the_header() {
    let more = "token_check = \"system-information\"\ntrust_client_id = true\n\
                clients = [{ client_id = \"a\", client_secret = \"s\", username = \"u\", password = \"p\" }]\n";
    let config = read(&format!("{PIM}{more}"), &[], &[]).unwrap();
    let domain::pim::TokenCheck::Probe { trust_client_id, clients, .. } = &config.pims[0].token_check else {
        panic!("{:?} is a probe", config.pims[0].token_check)
    };
    assert_eq!((*trust_client_id, clients.len()), (true, 1));
    let again = read(&config.effective().replace(Secret::MASK, "x"), &[], &[]);
    assert_eq!(again.unwrap().pims[0].url, config.pims[0].url);
}

#[test]
fn secrets_are_masked_when_printed_or_refused() {
    let file = format!(
        "[encryption]\nkeys = [\"k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"]\n{PIM}keys = \
         [\"hidden-key-hidden-key\"]\n\
         static_tokens = [{{ client_id = \"a\", token = \"hidden-token\" }}]\nevents_api_secret = \"hidden-secret\"\n"
    );
    let config = read(&file, &[], &[]).unwrap();
    let text = format!("{}{config:?}", config.effective());
    assert!(!text.contains("hidden") && !text.contains("MDEyMzQ1"), "{text}");

    let refused = read("[encryption]\nkeys = \"\"\n[log]\nlevel = 3", &[], &[]).unwrap_err().to_string();
    assert!(refused.contains("log.level"));
    let refused = read(&format!("{PIM}events_api_secret = [\"hidden\"]"), &[], &[]).unwrap_err().to_string();
    assert!(!refused.contains("hidden"), "{refused}");
}

#[test]
fn the_reference_is_a_file_that_can_be_read() {
    let config = read(&reference(), &[], &[]).unwrap();
    assert_eq!(config.settings.shown(), read("", &[], &[]).unwrap().settings.shown());
    let uncommented: String = reference()
        .lines()
        .skip_while(|line| *line != "# [[pims]]")
        .filter(|line| !line.starts_with("#     "))
        .map(|line| line.trim_start_matches('#').trim_start().to_owned() + "\n")
        .filter(|line| !line.starts_with("trust_client_id") && !line.starts_with("clients"))
        .collect();
    assert_eq!(read(&uncommented, &[], &[]).unwrap().pims.len(), 1, "{uncommented}");
}

#[test]
fn requirements_of_smtp_and_operator_key() {
    check_refused("[smtp]\nhost = \"mail.example.com\"\n", "smtp.from");
    check_refused("[smtp]\nusername = \"me\"\n", "`smtp.username` and `smtp.password` must be set together");
    check_refused("[smtp]\nsecurity = \"ssl\"\n", "starttls");
    check_refused("[api]\noperator_key = \"short\"\n", "shorter than 24 characters");
    check_refused("[metrics]\nkey = \"short\"\n", "`metrics.key`: is shorter than 24 characters");
    check_refused("[metrics]\nper_subscription_at_most = -1\n", "a whole number, 0 or more");
    let fine = "[smtp]\nhost = \"mail.example.com\"\nfrom = \"Postrider <postrider@example.com>\"\nport = 2525\n";
    let config = read(fine, &[], &[]).unwrap();
    assert_eq!(config.settings.smtp.port.0, 2525);
    assert!(!config.effective().contains("hunter2"));
    let secret = read(fine, &[("POSTRIDER_SMTP_USERNAME", "me"), ("POSTRIDER_SMTP_PASSWORD", "hunter2")], &[]).unwrap();
    assert!(!secret.effective().contains("hunter2"));
}

#[test]
fn other_nodes_must_be_able_to_call_the_advertised_address() {
    let postgres = "[store]\nbackend = \"postgres\"\nurl = \"postgres://u@127.0.0.1/db\"\n[cluster]\n";
    let read = |cluster: &str| read(&format!("{postgres}{cluster}"), &[], &[]);
    assert!(read("listen = \"10.0.0.1:8090\"\n").is_ok());
    let named = read("listen = \"0.0.0.0:8090\"\nadvertise = \"node1.internal:8090\"\n").unwrap();
    assert_eq!(named.settings.cluster.advertise.unwrap().to_string(), "node1.internal:8090");
    check_refused(&format!("{postgres}listen = \"0.0.0.0:8090\"\n"), "other nodes cannot call that address");
    check_refused(&format!("{postgres}advertise = \"node1:8090\"\n"), "requires `cluster.listen`");
    check_refused("[cluster]\nlisten = \"10.0.0.1:8090\"\n", "the embedded store has a single node");
}
