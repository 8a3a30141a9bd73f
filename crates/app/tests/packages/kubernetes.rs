//! The Helm chart and the compose file, validated by Helm, kubeconform and compose, and their settings by the binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use parts::deploy::Deploy;
use parts::tool;
use serde_json::Value;

use crate::release::{root, version};

/// Values that differ from every default.
fn all_values() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/values.yaml")
}

fn chart() -> PathBuf {
    root().join("deploy/helm/postrider")
}

fn fetch() -> Option<Deploy> {
    Deploy::fetch().map_err(|error| parts::left_out("Helm, kubeconform and compose", &error)).ok()
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    manifests.iter().filter(|manifest| manifest["kind"] == kind).collect()
}

/// Checks that `postrider config` accepts these settings.
fn must_be_settings(environment: &[(&str, &str)], configuration: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider.toml");
    std::fs::write(&file, configuration).unwrap();
    let mut config = Command::new(env!("CARGO_BIN_EXE_postrider"));
    config.env_clear().envs(environment.iter().copied()).args(["config", "--config"]).arg(&file);
    let printed = tool::run(&mut config).unwrap();
    for (name, _) in environment {
        assert!(printed.contains(&format!("environment variable {name}")), "unknown setting {name}:\n{printed}");
    }
}

#[test]
fn the_chart_and_its_manifests_are_valid() {
    let Some(deploy) = fetch() else { return };
    let all = all_values();
    for (values, kinds) in [
        (&[][..], &["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "StatefulSet"][..]),
        (&[all.as_path()], &["Ingress", "ServiceMonitor", "NetworkPolicy", "StatefulSet"]),
    ] {
        deploy.lint(&chart(), values).unwrap();
        let manifests = deploy.manifests(&deploy.template("shop", &chart(), values).unwrap()).unwrap();
        for kind in kinds {
            assert_eq!(of_kind(&manifests, kind).len(), 1, "{kind}");
        }
        let names = manifests.iter().map(|manifest| manifest["metadata"]["name"].as_str().unwrap());
        assert!(names.into_iter().all(|name| name.starts_with("shop-postrider")), "{manifests:?}");
        let pod = &of_kind(&manifests, "StatefulSet")[0]["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let environment = container["env"].as_array().unwrap().iter().map(|variable| {
            let value = match variable["value"].as_str() {
                Some(value) => value,
                // From a Secret.
                None if variable["name"] == "POSTRIDER_ENCRYPTION_KEYS" => {
                    "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
                }
                None => "a-secret-of-more-than-24-characters",
            };
            (variable["name"].as_str().unwrap(), value)
        });
        let configuration = of_kind(&manifests, "ConfigMap")[0]["data"]["postrider.toml"].as_str().unwrap();
        must_be_settings(&environment.collect::<Vec<_>>(), configuration);
        assert_eq!(container["image"], format!("registry.example.com/postrider:{}", version()));
        // The image's user owns the volume.
        let recipe = std::fs::read_to_string(root().join("deploy/container/Containerfile")).unwrap();
        let user = pod["securityContext"]["runAsUser"].as_u64().unwrap();
        assert!(recipe.contains(&format!("\nUSER {user}:{user}\n")), "{user}");
        assert_eq!(pod["securityContext"]["fsGroup"], user);
    }
}

/// The service that an ingress sends a path to: that of the longest prefix.
fn backend<'a>(ingress: &'a Value, path: &str) -> Option<&'a str> {
    let rules = ingress["spec"]["rules"][0]["http"]["paths"].as_array().unwrap();
    let matching = rules.iter().filter(|rule| {
        let prefix = rule["path"].as_str().unwrap();
        let below = path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        path == prefix || rule["pathType"] == "Prefix" && below
    });
    let longest = matching.max_by_key(|rule| rule["path"].as_str().unwrap().len())?;
    longest["backend"]["service"]["name"].as_str()
}

#[test]
fn the_ingress_publishes_what_is_not_for_operators() {
    let Some(deploy) = fetch() else { return };
    let all = all_values();
    let manifests = deploy.manifests(&deploy.template("shop", &chart(), &[&all]).unwrap()).unwrap();
    let ingress = of_kind(&manifests, "Ingress")[0];
    let description = tool::run(Command::new(env!("CARGO_BIN_EXE_postrider")).arg("openapi")).unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    let described = description["paths"].as_object().unwrap();
    assert!(described.len() > 30, "{described:?}");
    for (path, operations) in described {
        let inside = path.starts_with("/health/")
            || operations.as_object().unwrap().values().any(|operation| {
                let tags = operation["tags"].as_array().map_or(&[][..], Vec::as_slice);
                tags.iter().any(|tag| tag == "Operator" || tag == "Metrics")
            });
        assert_eq!(backend(ingress, path), (!inside).then_some("shop-postrider"), "{path}");
    }
    for open in ["/", "/console", "/console/sign-in", "/console/assets/page.css", "/console/operators"] {
        assert_eq!(backend(ingress, open), Some("shop-postrider"), "{open}");
    }
    let closed = backend(ingress, "/console/operator").unwrap();
    let services = of_kind(&manifests, "Service");
    let closed = services.iter().find(|service| service["metadata"]["name"] == closed).unwrap();
    assert!(closed["spec"]["selector"].is_null(), "{closed}");
}

#[test]
fn the_chart_refuses_values_that_lose_events_or_secrets() {
    let Some(deploy) = fetch() else { return };
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    for (wrong, said) in [
        ("terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds"),
        ("secrets: {POSTRIDER_ENCRYPTION_KEYS: null}", "POSTRIDER_ENCRYPTION_KEYS"),
        ("replicas: 2", "replicas"),
        ("persistence: {accessMode: ReadWriteMany}", "accessMode"),
    ] {
        std::fs::write(&values, wrong).unwrap();
        let error = deploy.template("shop", &chart(), &[&values]).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn the_compose_file_and_its_settings_are_valid() {
    let Some(deploy) = fetch() else { return };
    let project = deploy.compose(&root().join("deploy/compose/compose.yaml")).unwrap();
    let platform = &project["services"]["postrider"];
    assert_eq!(platform["image"], format!("postrider:{}", version()));
    assert_eq!(platform["read_only"], true);
    let environment = platform["environment"].as_object().unwrap();
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    must_be_settings(&environment, "");
    // Requests come from the proxy's network.
    let subnet = project["networks"]["default"]["ipam"]["config"][0]["subnet"].as_str().unwrap();
    assert!(environment.contains(&("POSTRIDER_API_TRUSTED_PROXIES", subnet)), "{environment:?}");
}
