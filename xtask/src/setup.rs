//! What tests need beside Rust: Debian packages and a Python environment with foreign readers.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run::run;

/// Programs tests call, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("tcpdump", "tcpdump"),
    ("conntrack", "conntrack"),
    ("ping", "iputils-ping"),
    ("ethtool", "ethtool"),
    ("setpriv", "util-linux"),
    ("setcap", "libcap2-bin"),
    ("unshare", "util-linux"),
    ("kill", "procps"),
    ("bash", "bash"),
    ("python3", "python3"),
    ("cc", "gcc"),
    ("c++", "g++"), // builds libFuzzer
    // Says what a process asks the kernel for.
    ("strace", "strace"),
    // Foreign readers and writers of IPFIX.
    ("nfacctd", "pmacct"),
    ("nfcapd", "nfdump"),
    ("nfdump", "nfdump"),
    ("tshark", "tshark"),
    ("softflowd", "softflowd"),
    // Puts files of logs aside.
    ("logrotate", "logrotate"),
    // A foreign judge of certificates.
    ("openssl", "openssl"),
    // The switch of Antrea, which judges our OpenFlow.
    ("ovs-ofctl", "openvswitch-common"),
    ("ovs-vswitchd", "openvswitch-switch"),
    // A foreign client of Kubernetes.
    ("kubectl", "kubernetes-client"),
    // An old ClickHouse, but a whole server: users, TLS, a process to kill.
    ("clickhouse-server", "clickhouse-server"),
    ("clickhouse-client", "clickhouse-client"),
];

/// Foreign readers of our formats, and a foreign judge of schemas, from PyPI, and what each is
/// imported as.
const PYTHON: [(&str, &str); 11] = [
    ("pyarrow", "pyarrow"),
    ("ipfix", "ipfix"),
    ("jsonschema", "jsonschema"),
    ("kubernetes-validate", "kubernetes_validate"),
    ("prometheus-client", "prometheus_client"),
    // The gRPC project's own implementation, its compiler of .proto files, and HTTP/2 by hand.
    ("grpcio", "grpc"),
    ("grpcio-tools", "grpc_tools"),
    ("h2", "h2"),
    // ClickHouse's engine of today, an S3 endpoint, and one more reader of Parquet.
    ("chdb-core", "chdb"),
    ("moto[server,s3]", "moto.server"),
    ("duckdb", "duckdb"),
];

/// A reader of Parquet as many have it, beside today's.
const OLDER_DUCKDB: &str = "duckdb==1.4.*";

pub(crate) fn install(root: &Path) -> Result<()> {
    let absent = PROGRAMS.iter().filter(|(program, _)| !is_installed(program));
    packages(&absent.map(|(_, package)| *package).collect::<Vec<_>>())?;
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_installed(program)).collect();
    if !missing.is_empty() {
        bail!("still missing after installing: {missing:?}");
    }
    python(root)
}

/// Installs what only some chores need.
pub(crate) fn require(program: &str, package: &str) -> Result<()> {
    if is_installed(program) { Ok(()) } else { packages(&[package]) }
}

fn packages(wanted: &[&str]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let apt = ["-o", "DPkg::Lock::Timeout=300", "-y", "-qq"];
    run(Command::new("apt-get").args(apt).arg("update"))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(apt)
        .args(["install", "--no-install-recommends"])
        .args(wanted))
}

/// `ip` and others are outside an ordinary user's PATH on Debian.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(sbin).any(|folder| folder.join(program).is_file())
}

fn python(root: &Path) -> Result<()> {
    let venv = root.join("target/test-venv");
    let python = venv.join("bin/python");
    let probe = PYTHON.map(|(_, module)| format!("import {module}")).join("; ");
    let works = Command::new(&python).args(["-c", &probe]).stderr(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        return older_duckdb(&venv);
    }
    let make = || run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    if make().is_err() {
        // Debian's own Python comes without what venv needs.
        packages(&["python3-venv"])?;
        make()?;
    }
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(PYTHON.map(|(package, _)| package)))?;
    older_duckdb(&venv)
}

fn older_duckdb(venv: &Path) -> Result<()> {
    let folder = venv.join("duckdb-1.4");
    if folder.join("duckdb").is_dir() {
        return Ok(());
    }
    let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--target"];
    run(Command::new(venv.join("bin/python")).args(pip).arg(folder).arg(OLDER_DUCKDB))
}
