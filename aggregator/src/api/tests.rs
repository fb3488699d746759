use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

fn flow(source_port: u16) -> FlowRecord {
    let mut record = FlowRecord { start_ms: 1_700_000_000_000, ..FlowRecord::default() };
    record.key.source = [10, 0, 0, 1].into();
    record.key.destination = [10, 0, 0, 2].into();
    (record.key.source_port, record.key.protocol) = (source_port, 6);
    record.source.pod = "web".into();
    record
}

/// An API over two flows, and the token that opens it.
fn api(has_flows: bool) -> (Router, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let token = token::write(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let ask = |wanted: FlowFilter, most: usize| -> Answered {
        let flows = [flow(1), flow(2)].into_iter().filter(|it| wanted.matches(&it.key)).take(most);
        let flows = flows.collect();
        Box::pin(async { flows })
    };
    let totals = Totals { num_flows: 2, with_ipfix_exporter: true, ..Totals::default() };
    let sources = Sources {
        flows: has_flows.then(|| Box::new(ask) as Box<Ask>),
        totals: Box::new(move || totals),
        readiness: Readiness::default(),
        registry: Arc::default(),
    };
    (router(Arc::new(Access { token, reviewer: None }), sources), text)
}

async fn ask(api: &Router, path: &str, token: Option<&str>) -> (StatusCode, Value) {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    (status, serde_json::from_slice(&body).unwrap_or(Value::String(text)))
}

/// Names and what is left out are Antrea's, by its documentation.
#[tokio::test]
async fn flows_are_told_by_their_elements_names() {
    let (api, token) = api(true);
    let (status, told) = ask(&api, "/flowrecords?srcport=2", Some(&token)).await;
    assert_eq!((status, told.as_array().unwrap().len()), (StatusCode::OK, 1));
    let told = told[0].as_object().unwrap();
    for (name, value) in [
        ("sourceIPv4Address", json!("10.0.0.1")),
        ("destinationIPv4Address", json!("10.0.0.2")),
        ("sourceTransportPort", json!(2)),
        ("protocolIdentifier", json!(6)),
        ("flowStartSeconds", json!(1_700_000_000)),
        ("flowEndSecondsFromSourceNode", json!(0)),
        ("sourcePodName", json!("web")),
        ("destinationClusterIPv4", json!("")),
        ("destinationServiceIPv4", json!("")),
        ("egressNetworkPolicyRuleAction", json!(0)),
        ("reverseOctetDeltaCount", json!(0)),
        ("reverseThroughput", json!(0)),
        ("tcpState", json!("")),
    ] {
        assert_eq!(told.get(name), Some(&value), "{name}");
    }
    for name in ["ingressNetworkPolicyType", "proxySnatPort", "sourceIPv6Address", "flowId"] {
        assert!(!told.contains_key(name), "{name}");
    }
    // 43 that Agents send but for the two types, and SNAT's two; four more.
    assert_eq!(told.len(), 43);
}

#[tokio::test]
async fn nothing_is_null_and_a_parameter_that_is_none_is_not_found() {
    let (followed, token) = api(true);
    let (status, told) = ask(&followed, "/flowrecords?srcport=3", Some(&token)).await;
    assert_eq!((status, told), (StatusCode::OK, Value::Null));
    let (status, why) = ask(&followed, "/flowrecords?proto=tcp", Some(&token)).await;
    assert_eq!(
        (status, why),
        (StatusCode::NOT_FOUND, json!("proto: \"tcp\" is no protocol number\n"))
    );
    let (proxied, token) = api(false);
    assert_eq!(ask(&proxied, "/flowrecords", Some(&token)).await, (StatusCode::OK, Value::Null));
}

#[tokio::test]
async fn totals_leave_out_what_is_nothing() {
    let (api, token) = api(true);
    let (_, told) = ask(&api, "/recordmetrics", Some(&token)).await;
    assert_eq!(told, json!({ "numFlows": 2, "withIPFIXExporter": true }));
    let names = json!(Totals {
        num_records_exported: 1,
        num_records_received: 1,
        num_records_dropped: 1,
        num_flows: 1,
        num_conn_to_collector: 1,
        with_click_house_exporter: true,
        with_s3_exporter: true,
        with_log_exporter: true,
        with_ipfix_exporter: true,
    });
    let names: Vec<_> = names.as_object().unwrap().keys().cloned().collect();
    let mut expected = [
        "numRecordsExported",
        "numRecordsReceived",
        "numRecordsDropped",
        "numFlows",
        "numConnToCollector",
        "withClickHouseExporter",
        "withS3Exporter",
        "withLogExporter",
        "withIPFIXExporter",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn who_has_no_token_gets_health_alone() {
    let (api, token) = api(true);
    for path in ["/flowrecords", "/recordmetrics", "/loglevel?level=9", "/version", "/metrics"] {
        for token in [None, Some(""), Some("x"), Some(&token[1..])] {
            assert_eq!(ask(&api, path, token).await.0, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    for path in ["/version", "/metrics", "/loglevel"] {
        assert_eq!(ask(&api, path, Some(&token)).await.0, StatusCode::OK, "{path}");
    }
    assert_eq!(ask(&api, "/healthz", None).await.0, StatusCode::OK);
    assert_eq!(ask(&api, "/livez", None).await.0, StatusCode::OK);
    assert_eq!(ask(&api, "/readyz", None).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&api, "/loglevel?level=-1", Some(&token)).await.0, StatusCode::BAD_REQUEST);
}
