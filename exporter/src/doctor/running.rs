//! What a running exporter says of itself.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Step;

const DEADLINE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes: a thousand times what an exporter of one
/// destination has to say.
const LIMIT: u64 = 16 << 20;
const PREFIX: &str = "fyke_exporter_";

/// A counter or gauge that is 0 where all is well.
struct Sign {
    name: &'static str,
    means: &'static str,
    remedy: &'static str,
}

const SIGNS: [Sign; 14] = [
    Sign {
        name: "conntrack_overruns_total",
        means: "times the kernel dropped events; every zone was read anew after each",
        remedy: "give the exporter more CPU, or say reliableEvents where a full table is no risk",
    },
    Sign {
        name: "connections_refused_total",
        means: "entries found the exporter's table full",
        remedy: "raise maxConnections",
    },
    Sign {
        name: "conntrack_dumps_failed_total",
        means: "times reading a zone broke off",
        remedy: "see the exporter's log",
    },
    Sign {
        name: "connections_uncounted_total",
        means: "connections ended without having been counted",
        remedy: "see the step sysctls",
    },
    Sign {
        name: "counter_resets_total",
        means: "times somebody else zeroed the kernel's counters",
        remedy: "find who runs conntrack -z, or reads with zeroing",
    },
    Sign {
        name: "destinations_refused",
        means: "destinations cannot be used as they are",
        remedy: "see the exporter's log",
    },
    Sign {
        name: "records_lagging",
        means: "records wait, since the destination is away or takes them too slowly",
        remedy: "see the step destinations, and what the collector does",
    },
    Sign {
        name: "records_lost_total",
        means: "ends of connections were given up, since too many waited",
        remedy: "see why the destination was away; raise maxConnections to bridge more",
    },
    Sign {
        name: "records_refused_total",
        means: "records fit no message",
        remedy: "use a transport without a limit on messages (tcp, tls, grpc)",
    },
    Sign {
        name: "records_refused_late_total",
        means: "records were sent over gRPC to a server that then refused their stream",
        remedy: "see the reason: it has no such method, or does not let this exporter in",
    },
    Sign {
        name: "sessions_lost_total",
        means: "sessions broke",
        remedy: "see the collector's log for the time of each",
    },
    Sign {
        name: "deny_dropped_total",
        means: "denied packets are in no record",
        remedy: "see docs/metrics-exporter.md for what each reason asks for",
    },
    Sign {
        name: "names_waited_in_vain_total",
        means: "connections were told without a name that might have come later",
        remedy: "see the step names; raise nameWait if the API server is slow",
    },
    Sign {
        name: "reloads_refused_total",
        means: "changed configurations were refused",
        remedy: "see the step configuration",
    },
];

pub(super) async fn look_at(admin: SocketAddr) -> Step {
    let step = Step::new("running");
    let (ready, metrics) = match (get(admin, "/readyz").await, get(admin, "/metrics").await) {
        (Ok(ready), Ok(metrics)) => (ready, metrics),
        (Err(error), _) | (_, Err(error)) => {
            return step
                .skip(format!("no exporter answers at {admin} ({error}), so none is asked"));
        }
    };
    let step = if is_success(&ready) {
        step.ok(format!("the exporter at {admin} is ready"))
    } else {
        let why = ready.rsplit("\r\n").next().unwrap_or_default().trim();
        step.warn(format!("the exporter at {admin} is not ready: {why}"), "see its log")
    };
    weigh(step, &metrics)
}

/// Says of each series that tells of something wrong what it means.
fn weigh(step: Step, metrics: &str) -> Step {
    if !metrics.contains(PREFIX) {
        return step.warn("it is no exporter of Fyke", "name its address with --admin");
    }
    let samples: Vec<_> = metrics.lines().filter_map(sample).collect();
    let before = step.findings.len();
    let mut step = step;
    for (name, labels, value) in &samples {
        let sign = SIGNS.iter().find(|sign| sign.name == *name);
        if let Some(sign) = sign.filter(|_| *value > 0.0) {
            let Sign { means, remedy, .. } = sign;
            step = step.warn(format!("{value} {means} ({PREFIX}{name}{labels})"), *remedy);
        }
        if *name == "connected" && *value == 0.0 {
            let found = format!("no session is open ({PREFIX}{name}{labels})");
            step = step.warn(found, "see the step destinations, and the exporter's log");
        }
    }
    if step.findings.len() == before { step.ok("it has lost nothing so far") } else { step }
}

/// Name, labels and value of one of our samples.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.strip_prefix(PREFIX)?.rsplit_once(' ')?;
    let at = series.find('{').unwrap_or(series.len());
    let (name, labels) = series.split_at(at);
    Some((name, labels, value.parse().ok()?))
}

fn is_success(answer: &str) -> bool {
    answer.split_whitespace().nth(1) == Some("200")
}

async fn get(admin: SocketAddr, path: &str) -> std::io::Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(admin).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {admin}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LIMIT).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answered = timeout(DEADLINE, asked).await;
    answered.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn only_what_is_wrong_is_told() {
        let metrics = "# HELP fyke_exporter_conntrack_overruns x\n\
            fyke_exporter_conntrack_overruns_total 2\n\
            fyke_exporter_connections_refused_total 0\n\
            fyke_exporter_records_lagging{destination=\"a b\"} 7\n\
            fyke_exporter_connected{destination=\"a b\"} 1\n\
            fyke_exporter_connected{destination=\"c\"} 0\n";
        let step = weigh(Step::new("running"), metrics);
        let found: Vec<_> = step.findings.iter().map(|it| it.found.as_str()).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("2 times the kernel dropped events"));
        assert!(found[1].ends_with("(fyke_exporter_records_lagging{destination=\"a b\"})"));
        assert!(found[2].contains("{destination=\"c\"}"));
        let well = weigh(Step::new("running"), "fyke_exporter_conntrack_overruns_total 0\n");
        assert_eq!(well.verdict(), Verdict::Ok);
        assert_eq!(weigh(Step::new("running"), "other 1\n").verdict(), Verdict::Warn);
    }
}
