//! Statements and answers, over HTTP and HTTPS.

use std::path::Path;
use std::time::Duration;

use store::clickhouse::{ClickHouseError, Client, Options, Reason, Statement, Trust};
use tests::clickhouse::{Engine, Fault, OldServer, PASSWORD, USER, antrea_table};

pub(crate) fn options(url: &str, trust: Trust) -> Options {
    Options {
        address: url.parse().expect("an address"),
        database: "default".into(),
        username: secret(USER),
        password: secret(PASSWORD),
        compress: true,
        trust,
        patience: Duration::from_mins(1),
    }
}

fn secret(text: &str) -> config::Secret {
    config::Secret::new(text.to_owned())
}

fn client(url: &str) -> Client {
    Client::new(options(url, Trust::Authorities("/none".into())))
}

fn trusting(url: &str, authority: &Path) -> Client {
    Client::new(options(url, Trust::Authorities(authority.to_owned())))
}

#[tokio::test]
async fn statements_are_answered() {
    let engine = Engine::start();
    let client = client(&engine.url());
    client.execute(antrea_table("flows")).await.expect("a table");
    assert_eq!(engine.number("SELECT count() FROM system.columns WHERE table = 'flows'"), 53);
    let statement =
        Statement::new("SELECT {a:String}, {b:UInt8} + 1, 'x?', NULL, getSetting('max_threads')");
    let statement = statement.parameter("a", "it's\ta 'text'\n").parameter("b", "41");
    let rows = client.rows(statement.setting("max_threads", "7")).await.expect("rows");
    assert_eq!(rows, [["it's\ta 'text'\n", "42", "x?", r"\N", "7"]]);
    let mut answer =
        client.stream("SELECT number FROM numbers(1000000)", "RowBinary").expect("one");
    let mut bytes = 0;
    while let Some(part) = answer.next().await.expect("a part") {
        bytes += part.len();
    }
    assert_eq!(bytes, 8_000_000);
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let mut engine = Engine::start();
    let client = client(&engine.url());
    let reason = async |statement: &str| {
        let error = client.execute(statement).await.expect_err("it fails");
        let told = error.to_string();
        assert!(!told.contains(PASSWORD), "{told}");
        (error.reason(), told)
    };
    let (unknown, told) = reason("SELECT * FROM nothing").await;
    assert_eq!(unknown, Reason::UnknownTable);
    assert!(told.contains("nothing") && told.contains("fyke clickhouse migrate"), "{told}");
    assert_eq!(reason("SELECT nothing").await.0, Reason::Columns);
    engine.fault(&Fault { times: 1, code: Some(241), ..Fault::default() });
    assert_eq!(reason("SELECT 1").await.0, Reason::Memory);
    engine.set_password("another");
    assert_eq!(reason("SELECT 1").await.0, Reason::Credentials);
    engine.set_password(PASSWORD);
    engine.fault(&Fault { times: 1, no_answer: true, ..Fault::default() });
    let error = client.execute("SELECT 1").await.expect_err("it fails");
    assert!(error.is_in_doubt() && error.reason() == Reason::Unreachable, "{error}");
    engine.fault(&Fault { times: 1, hold: true, ..Fault::default() });
    let hasty = client.with_patience(Duration::from_millis(10));
    let error = hasty.execute("SELECT 1").await.expect_err("it fails");
    assert!(matches!(error, ClickHouseError::TimedOut { .. }), "{error}");
    engine.release();
    engine.stop();
    assert_eq!(reason("SELECT 1").await.0, Reason::Unreachable);
    engine.start_again();
    client.execute("SELECT 1").await.expect("it is back");
}

#[tokio::test]
async fn an_old_server_is_who_its_certificate_says() {
    let mut server = OldServer::start();
    let good = trusting(&server.https_url(), &server.authority());
    assert_eq!(good.rows("SELECT currentUser()").await.err().map(|it| it.reason()), None);
    let told = |error: ClickHouseError| config::Chain(&error).to_string();
    let by_address = server.https_url().replace("localhost", "127.0.0.1");
    let error = trusting(&by_address, &server.authority()).execute("SELECT 1").await;
    let error = told(error.expect_err("that is another name"));
    assert!(error.contains("certificate"), "{error}");
    let others = tests::authority::certificates();
    let error =
        trusting(&server.https_url(), &others.path().join("ca.pem")).execute("SELECT 1").await;
    let error = told(error.expect_err("another authority"));
    assert!(error.contains("UnknownIssuer"), "{error}");
    let error = client(&server.https_url()).execute("SELECT 1").await;
    assert!(told(error.expect_err("no file")).contains("cannot read /none"));
    let anybody = Client::new(options(&by_address, Trust::Anybody));
    anybody.execute("SELECT 1").await.expect("anybody will do");
    let mut stranger = options(&server.http_url(), Trust::Anybody);
    stranger.password = secret("guessed");
    let error = Client::new(stranger).execute("SELECT 1").await.expect_err("a wrong password");
    assert_eq!(error.reason(), Reason::Credentials, "{error}");
    server.kill();
    let error = good.execute("SELECT 1").await.expect_err("it is gone");
    assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    server.start_again();
    good.execute("SELECT 1").await.expect("it is back");
}
