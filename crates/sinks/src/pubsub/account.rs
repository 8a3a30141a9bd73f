//! Identity that publishes, whose role has to be granted. Found in the same way as Google's libraries find application
//! default credentials, without network access unless the machine is Google's.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use crate::client::{Call, HttpClient};

/// Variable with the address of an emulator, `host:port`, as in Google's other client libraries.
const EMULATOR: &str = "PUBSUB_EMULATOR_HOST";
/// Variable with the path of a credentials file.
const CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Path written by `gcloud auth application-default login`, below the home folder.
const WELL_KNOWN: &str = ".config/gcloud/application_default_credentials.json";
/// Variable with a metadata server other than Google's.
const METADATA_HOST: &str = "GCE_METADATA_HOST";
const METADATA_SERVER: &str = "metadata.google.internal";
/// Set on Cloud Run, whose machines don't always identify themselves as Google's.
const CLOUD_RUN: &str = "K_SERVICE";
/// The machine's vendor according to Linux; Google's libraries read it as well.
const PRODUCT_NAME: &str = "/sys/class/dmi/id/product_name";

const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// An email address has at most 254 bytes.
const METADATA_ANSWER: usize = 1_024;

/// Reads an environment variable.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Identity that publishes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Account {
    /// An emulator at `host:port`, which requires no identity.
    Emulator(String),
    /// `serviceAccount:…`, as roles are granted to it.
    Principal(String),
    /// A personal account, whose name is not in the file.
    Person(PathBuf),
    /// An identity of another provider, by workload identity federation.
    Federated(PathBuf),
    /// Not named by a file: reported by the metadata server at this host, if the machine is Google's at all.
    Metadata(String),
    /// Neither a file nor a machine of Google's.
    Nobody,
    /// An unusable file, and the cause.
    Unusable(PathBuf, String),
}

impl Account {
    /// Finds the identity.
    pub fn find(variable: Variable<'_>) -> Account {
        let text = |name| variable(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
        if let Some(host) = text(EMULATOR) {
            return Account::Emulator(host);
        }
        if let Some(path) = variable(CREDENTIALS) {
            return Account::of_file(Path::new(&path));
        }
        let home = variable("HOME").map(|home| Path::new(&home).join(WELL_KNOWN));
        if let Some(path) = home.filter(|path| path.exists()) {
            return Account::of_file(&path);
        }
        match text(METADATA_HOST) {
            Some(host) => Account::Metadata(host),
            None if variable(CLOUD_RUN).is_some() || is_googles_machine() => {
                Account::Metadata(METADATA_SERVER.to_owned())
            }
            None => Account::Nobody,
        }
    }

    fn of_file(path: &Path) -> Account {
        let unusable = |why: String| Account::Unusable(path.to_owned(), why);
        let json: Value = match fs::read(path) {
            Err(error) => return unusable(error.to_string()),
            Ok(text) => match serde_json::from_slice(&text) {
                Err(error) => return unusable(error.to_string()),
                Ok(json) => json,
            },
        };
        let member = |name: &str| json.get(name).and_then(Value::as_str);
        let impersonated = member("service_account_impersonation_url").and_then(account_of_url);
        let service_account = |email: &str| Account::Principal(format!("serviceAccount:{email}"));
        match (member("type"), impersonated) {
            (Some("service_account"), _) => match member("client_email") {
                Some(email) => service_account(email),
                None => unusable("it has no member `client_email`, which a service account key needs".to_owned()),
            },
            (Some("impersonated_service_account" | "external_account"), Some(email)) => service_account(email),
            (Some("external_account"), None) => Account::Federated(path.to_owned()),
            (Some("authorized_user"), _) => Account::Person(path.to_owned()),
            (Some(other), _) => unusable(format!("unknown credentials type `{other}`")),
            (None, _) => unusable("it has no member `type`".to_owned()),
        }
    }

    /// Asks the metadata server, if the identity comes from there; `None` if it doesn't respond.
    pub async fn ask(self, client: &HttpClient) -> Option<Account> {
        let Account::Metadata(host) = self else { return Some(self) };
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
        let call = Call {
            method: Method::GET,
            url: format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/email"),
            headers,
            body: Bytes::new(),
            limit: METADATA_ANSWER,
            timeout: METADATA_TIMEOUT,
        };
        let answer = client.fetch(call).await.ok().filter(|answer| answer.status == StatusCode::OK)?;
        let email = std::str::from_utf8(&answer.body).ok()?.trim();
        email.contains('@').then(|| Account::Principal(format!("serviceAccount:{email}")))
    }
}

/// `…/serviceAccounts/{email}:generateAccessToken`.
fn account_of_url(url: &str) -> Option<&str> {
    let (_, account) = url.rsplit_once("/serviceAccounts/")?;
    account.strip_suffix(":generateAccessToken")
}

fn is_googles_machine() -> bool {
    fs::read_to_string(PRODUCT_NAME).is_ok_and(|name| name.starts_with("Google"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(text: &str, expect: impl FnOnce(PathBuf) -> Account) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credentials.json");
        fs::write(&path, text).expect("written");
        let found = Account::find(&|name| (name == CREDENTIALS).then(|| path.clone().into_os_string()));
        assert_eq!(found, expect(path.clone()), "{text}");
        // `gcloud` stores the same file in the home folder.
        let well_known = folder.path().join(WELL_KNOWN);
        fs::create_dir_all(well_known.parent().expect("a folder")).expect("made");
        fs::rename(path, &well_known).expect("moved");
        let found = Account::find(&|name| (name == "HOME").then(|| folder.path().as_os_str().to_owned()));
        assert_ne!(found, Account::Nobody, "{text}");
    }

    #[test]
    fn names_the_account_that_needs_the_right() {
        let principal = || Account::Principal("serviceAccount:publisher@p.iam.gserviceaccount.com".to_owned());
        check_file(r#"{"type":"service_account","client_email":"publisher@p.iam.gserviceaccount.com"}"#, |_| {
            principal()
        });
        let url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
                   publisher@p.iam.gserviceaccount.com:generateAccessToken";
        for kind in ["impersonated_service_account", "external_account"] {
            check_file(&format!(r#"{{"type":"{kind}","service_account_impersonation_url":"{url}"}}"#), |_| principal());
        }
        check_file(r#"{"type":"external_account"}"#, Account::Federated);
        check_file(r#"{"type":"authorized_user"}"#, Account::Person);
    }

    #[test]
    fn reports_problems_of_a_file() {
        let unusable = |why: &'static str| move |path| Account::Unusable(path, why.to_owned());
        check_file("{}", unusable("it has no member `type`"));
        check_file(r#"{"type":"x"}"#, unusable("unknown credentials type `x`"));
        check_file(
            r#"{"type":"service_account"}"#,
            unusable("it has no member `client_email`, which a service account key needs"),
        );
        check_file("", unusable("EOF while parsing a value at line 1 column 0"));
        let missing = Account::find(&|name| (name == CREDENTIALS).then(|| "/nowhere/key.json".into()));
        assert!(matches!(&missing, Account::Unusable(_, why) if why.contains("No such file")), "{missing:?}");
    }

    #[test]
    fn an_emulator_comes_first_and_the_metadata_server_last() {
        let found = Account::find(&|name| match name {
            EMULATOR => Some("127.0.0.1:8085".into()),
            CREDENTIALS => Some("/nowhere/key.json".into()),
            _ => None,
        });
        assert_eq!(found, Account::Emulator("127.0.0.1:8085".to_owned()));
        let found = Account::find(&|name| (name == METADATA_HOST).then(|| "127.0.0.1:8000".into()));
        assert_eq!(found, Account::Metadata("127.0.0.1:8000".to_owned()));
    }
}
