use flow::LogColumns;
use sinks::log::{Csv, Filter, Format, Options, Rotation};

use super::*;

#[test]
fn a_log_is_as_the_file_says() {
    let least = good("flowLogger: {enable: true}\n").flow_logger.options();
    let rotation =
        Rotation { max_size: 104_857_600, max_backups: 3, max_age: None, compress: true };
    let format = Format::Csv(Csv { columns: LogColumns::V2_7, pretty: true, quote: false });
    let path = "/tmp/antrea-flows.log".into();
    let expected = Options { path, rotation: Some(rotation), format, filters: Vec::new() };
    assert_eq!(least, Some(expected));
    let most = good(
        "flowLogger:\n  enable: true\n  path: /l\n  maxSize: 0\n  maxBackups: 0\n  maxAge: 2\n  \
         compress: false\n  prettyPrint: false\n  columns: v1.15\n  quote: true\n  filters:\n  \
         - ingressNetworkPolicyRuleActions: [Drop, Reject]\n  \
         - egressNetworkPolicyRuleActions: [None, Allow]\n    ingressNetworkPolicyRuleActions: []\n",
    );
    let options = most.flow_logger.options().unwrap();
    let age = Some(Duration::from_hours(48));
    let rotation =
        Rotation { max_size: 104_857_600, max_backups: 0, max_age: age, compress: false };
    assert_eq!(options.rotation, Some(rotation));
    let csv = Csv { columns: LogColumns::V1_15, pretty: false, quote: true };
    assert_eq!(options.format, Format::Csv(csv));
    let filters = [
        Filter { ingress_actions: vec![2, 3], egress_actions: vec![] },
        Filter { ingress_actions: vec![], egress_actions: vec![0, 1] },
    ];
    assert_eq!(options.filters, filters);
    assert_eq!(values(&good(&most.to_yaml())), values(&most));
}

#[test]
fn an_action_that_nobody_knows_matches_nothing() {
    let file = "flowLogger: {enable: true, filters: [{egressNetworkPolicyRuleActions: [drop]}]}\n";
    let (settings, findings) = resolve(file);
    let filters = settings.unwrap().flow_logger.options().unwrap().filters;
    assert_eq!(filters, [Filter { ingress_actions: vec![], egress_actions: vec![255] }]);
    let told = findings.to_string();
    assert!(told.contains(":1:72: warning: flowLogger.filters[0].egress"), "{told}");
}
