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

/// Values of several nodes on a database.
fn cluster_values() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/cluster.yaml")
}

/// The platform's settings in a container's environment.
fn settings(container: &Value) -> Vec<(&str, &str)> {
    let variables = container["env"].as_array().unwrap().iter();
    variables
        .filter(|variable| variable["name"].as_str().unwrap().starts_with("POSTRIDER_"))
        .map(|variable| {
            let value = match variable["value"].as_str() {
                Some("$(POD_IP):8090") => "10.1.2.3:8090",
                Some(value) => value,
                // From a Secret.
                None if variable["name"] == "POSTRIDER_ENCRYPTION_KEYS" => {
                    "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
                }
                None => "a-secret-of-more-than-24-characters",
            };
            (variable["name"].as_str().unwrap(), value)
        })
        .collect()
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
    let (all, cluster) = (all_values(), cluster_values());
    for (values, kinds) in [
        (&[][..], &["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "StatefulSet"][..]),
        (&[all.as_path()], &["Ingress", "ServiceMonitor", "NetworkPolicy", "StatefulSet"]),
        (&[cluster.as_path()], &["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "StatefulSet"]),
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
        let configuration = of_kind(&manifests, "ConfigMap")[0]["data"]["postrider.toml"].as_str().unwrap();
        must_be_settings(&settings(container), configuration);
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

/// They find each other by the addresses of their pods, over a port that is theirs alone, and have no volume.
#[test]
fn several_nodes_share_a_database_and_reach_each_other() {
    let Some(deploy) = fetch() else { return };
    let manifests = deploy.manifests(&deploy.template("shop", &chart(), &[&cluster_values()]).unwrap()).unwrap();
    let set = &of_kind(&manifests, "StatefulSet")[0]["spec"];
    assert_eq!(set["replicas"], 3);
    assert!(set["volumeClaimTemplates"].is_null(), "{set}");
    let pod = &set["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    assert!(volumes.iter().any(|volume| volume["name"] == "data" && volume["emptyDir"].is_object()), "{volumes:?}");
    assert!(pod["affinity"]["podAntiAffinity"].is_object(), "{pod}");
    let container = &pod["containers"][0];
    let environment = settings(container);
    for expected in [
        ("POSTRIDER_STORE_BACKEND", "postgres"),
        ("POSTRIDER_CLUSTER_LISTEN", "0.0.0.0:8090"),
        ("POSTRIDER_CLUSTER_ADVERTISE", "10.1.2.3:8090"),
    ] {
        assert!(environment.contains(&expected), "{expected:?}: {environment:?}");
    }
    let ports = container["ports"].as_array().unwrap();
    assert!(ports.iter().any(|port| port["name"] == "cluster" && port["containerPort"] == 8090), "{ports:?}");
    // Services lead to the API and to metrics, never to the nodes' own listener.
    for service in of_kind(&manifests, "Service") {
        let ports = service["spec"]["ports"].as_array().unwrap();
        assert!(ports.iter().all(|port| port["targetPort"] != "cluster" && port["port"] != 8090), "{service}");
    }
    let policy = &of_kind(&manifests, "NetworkPolicy")[0]["spec"];
    let rule = |direction: &str, port: &Value| {
        let rules = policy[direction].as_array().unwrap();
        rules
            .iter()
            .find(|rule| rule["ports"][0]["port"] == *port)
            .unwrap_or_else(|| panic!("{port}: {policy}"))
            .clone()
    };
    let own = &policy["podSelector"];
    assert_eq!(&rule("ingress", &"cluster".into())["from"][0]["podSelector"], own);
    assert_eq!(&rule("egress", &8090.into())["to"][0]["podSelector"], own);
    assert_eq!(rule("egress", &5432.into())["to"][0]["ipBlock"]["cidr"], "10.20.30.0/24");
    // One pod at a time is drained.
    assert_eq!(of_kind(&manifests, "PodDisruptionBudget")[0]["spec"]["maxUnavailable"], 1);
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
        ("{replicas: 2, store: {backend: postgres}}", "url"),
        ("store: {backend: postgres, url: \"postgres://user:password@db/postrider\"}", "url"),
        ("persistence: {accessMode: ReadWriteMany}", "accessMode"),
    ] {
        std::fs::write(&values, wrong).unwrap();
        let error = deploy.template("shop", &chart(), &[&values]).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

/// The same database, keys and domain for all nodes, which differ by their address alone.
#[test]
fn the_compose_file_of_several_nodes_and_its_settings_are_valid() {
    let Some(deploy) = fetch() else { return };
    let project = deploy.compose(&root().join("deploy/compose/cluster.yaml")).unwrap();
    let services = project["services"].as_object().unwrap();
    let nodes: Vec<_> = services.iter().filter(|(name, _)| name.starts_with("node-")).collect();
    assert_eq!(nodes.len(), 3, "{services:?}");
    let proxy = &services["caddy"];
    let upstreams: Vec<_> = proxy["environment"]["POSTRIDER_UPSTREAM"].as_str().unwrap().split(' ').collect();
    for (name, node) in nodes {
        assert_eq!(node["image"], format!("postrider:{}", version()));
        let environment = node["environment"].as_object().unwrap();
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        must_be_settings(&environment, "");
        let advertised = format!("{name}:8090");
        assert!(environment.contains(&("POSTRIDER_CLUSTER_ADVERTISE", &advertised)), "{environment:?}");
        assert!(upstreams.contains(&format!("{name}:8080").as_str()), "{upstreams:?}");
        assert!(node["ports"].is_null(), "only the proxy is reached from outside");
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
