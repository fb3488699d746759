//! Statements and answers, over HTTP and HTTPS.

use std::path::Path;
use std::time::Duration;

use store::clickhouse::{Asker, ClickHouseError, Client, Options, Reason, Statement, Trust};
use store::query::{Predicate, Query, Range};
use tests::clickhouse::{Engine, Fault, OldServer, PASSWORD, USER, antrea_table};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

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
    assert_eq!(good.rows("SELECT 1").await.expect("it is trusted"), [["1"]]);
    let told = |error: ClickHouseError| config::Chain(&error).to_string();
    let by_address = server.https_url().replace("localhost", "127.0.0.1");
    let error = trusting(&by_address, &server.authority()).execute("SELECT 1").await;
    let error = told(error.expect_err("that is another name"));
    assert!(error.contains("certificate"), "{error}");
    let others = tests::authority::certificates();
    let error =
        trusting(&server.https_url(), &others.path().join("ca.pem")).execute("SELECT 1").await;
    let error = told(error.expect_err("another authority"));
    assert!(error.contains("invalid peer certificate"), "{error}");
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

/// Passes connections on to a port; returns its address, and what each client had said when it
/// hung up.
async fn overheard(to: u16) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (said, heard) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", to)).await.expect("it accepts");
            let (mut from, mut back) = client.into_split();
            let (mut answers, mut server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
            let said = said.clone();
            tokio::spawn(async move {
                let (mut whole, mut part) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = from.read(&mut part).await {
                    server.write_all(&part[..read]).await.expect("it reads");
                    whole.extend_from_slice(&part[..read]);
                }
                said.send(String::from_utf8_lossy(&whole).into_owned()).ok();
            });
        }
    });
    (url, heard)
}

/// Servers end a statement that only reads when its client is gone, if they are asked to.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_waits_for_is_taken_back() {
    const SETTING: &str = "cancel_http_readonly_queries_on_client_close=1";
    let engine = Engine::start();
    engine.ask(&antrea_table("flows"));
    let (url, mut heard) = overheard(engine.port()).await;
    // It would hang up by itself, but later than the test has patience for.
    let client = client(&url).with_patience(2 * crate::daemon::PATIENCE);
    let asker = Asker::open(client).await.expect("a table");
    engine.fault(&Fault { times: 1, hold: true, ..Fault::default() });
    let asking = tokio::spawn(async move {
        asker.ask(&Query::rows(Range::ALL, Predicate::TRUE)).await.map(drop)
    });
    while engine.stats().held == 0 {
        tokio::task::yield_now().await;
    }
    while let Ok(said) = heard.try_recv() {
        assert!(!said.contains(SETTING), "it waits for its answer: {said}");
    }
    asking.abort();
    let hung_up = async { while !heard.recv().await.expect("a client").contains(SETTING) {} };
    let hung_up = tokio::time::timeout(crate::daemon::PATIENCE, hung_up).await;
    hung_up.expect("it hangs up");
    engine.release();
}
