//! How clients find the server: a kubeconfig file.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

/// Writes a kubeconfig, and the authority beside it, into `folder`; returns the kubeconfig.
pub(crate) fn write(
    folder: &Path,
    url: &str,
    authority: Option<&str>,
    token: Option<&str>,
) -> PathBuf {
    let mut cluster = json!({ "server": url });
    if let Some(pem) = authority {
        let path = folder.join("ca.crt");
        fs::write(&path, pem).expect("the folder can be written to");
        cluster["certificate-authority"] = path.to_str().expect("a path in UTF-8").into();
    }
    let user = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
    let name = "stand-in";
    // JSON is YAML.
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{ "name": name, "cluster": cluster }],
        "users": [{ "name": name, "user": user }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
    });
    let path = folder.join("kubeconfig");
    fs::write(&path, config.to_string()).expect("the folder can be written to");
    path
}
