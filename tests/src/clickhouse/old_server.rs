//! Debian's ClickHouse 18.16: far too old for its SQL to tell anything, but a whole server, with
//! users, TLS, and a process to kill.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{PASSWORD, Running, USER, ask, try_ask};
use crate::authority;
use crate::binary::eventually;
use crate::ports::free_port;

/// Ends with the test.
#[derive(Debug)]
pub struct OldServer {
    folder: TempDir,
    certificates: TempDir,
    http: u16,
    https: u16,
    native: u16,
    process: Running,
}

impl OldServer {
    /// Starts it, with a certificate for `localhost` and one user, and waits until it answers.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certificates = authority::certificates_for(&["localhost"]);
        let [http, https, native] = [(); 3].map(|()| free_port());
        let mut server =
            Self { folder, certificates, http, https, native, process: Running::default() };
        server.configure();
        server.start_again();
        server
    }

    /// Starts it after it ended, where it was, with what it has stored.
    pub fn start_again(&mut self) {
        let log = File::create(self.path("log")).expect("a file");
        let mut command = Command::new("/usr/sbin/clickhouse-server");
        command.arg(format!("--config-file={}", self.path("config.xml").display()));
        command.current_dir(self.folder.path());
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let process = command.spawn().expect("clickhouse-server runs: `cargo xtask setup`");
        self.process = Running(Some(process));
        let answers = || matches!(try_ask(self.http, "SELECT 1"), Ok((200, _)));
        assert!(eventually(Duration::from_mins(1), answers), "{}", self.words());
    }

    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    pub fn https_url(&self) -> String {
        format!("https://localhost:{}", self.https)
    }

    pub fn http_port(&self) -> u16 {
        self.http
    }

    pub fn https_port(&self) -> u16 {
        self.https
    }

    /// Where `clickhouse-client` gets in.
    pub fn native_port(&self) -> u16 {
        self.native
    }

    /// Who has signed its certificate.
    pub fn authority(&self) -> PathBuf {
        self.certificates.path().join("ca.pem")
    }

    /// What it says, by no client of ours, as values with tabs between them.
    #[track_caller]
    pub fn ask(&self, statement: &str) -> String {
        ask(self.http, statement)
    }

    pub fn words(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self) {
        let users = format!(
            "<yandex><profiles><default/></profiles><quotas><default/></quotas><users><{USER}>\
             <password>{PASSWORD}</password><networks><ip>127.0.0.1</ip></networks>\
             <profile>default</profile><quota>default</quota></{USER}></users></yandex>"
        );
        fs::write(self.path("users.xml"), users).expect("a file");
        let [data, temporary, files, schemas] = ["data", "tmp", "files", "schemas"].map(|name| {
            fs::create_dir(self.path(name)).expect("a folder");
            format!("{}/", self.path(name).display())
        });
        let pair = |name: &str| shown(&self.certificates.path().join(format!("localhost.{name}")));
        let config = format!(
            "<yandex><logger><level>information</level><console>1</console></logger>\
             <listen_host>127.0.0.1</listen_host><http_port>{}</http_port>\
             <https_port>{}</https_port><tcp_port>{}</tcp_port><openSSL><server>\
             <certificateFile>{}</certificateFile><privateKeyFile>{}</privateKeyFile>\
             <verificationMode>none</verificationMode><loadDefaultCAFile>true</loadDefaultCAFile>\
             <disableProtocols>sslv2,sslv3</disableProtocols></server></openSSL>\
             <path>{data}</path><tmp_path>{temporary}</tmp_path>\
             <user_files_path>{files}</user_files_path>\
             <format_schema_path>{schemas}</format_schema_path>\
             <mark_cache_size>5368709</mark_cache_size><users_config>{}</users_config>\
             <default_profile>default</default_profile><default_database>default</default_database>\
             </yandex>",
            self.http,
            self.https,
            self.native,
            pair("pem"),
            pair("key"),
            shown(&self.path("users.xml")),
        );
        fs::write(self.path("config.xml"), config).expect("a file");
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
