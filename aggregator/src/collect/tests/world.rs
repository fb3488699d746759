//! Every listener at once, on loopback.

use std::net::SocketAddr;

use ipfix::transport::bind_udp;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::metrics::EndReason;

/// Longer than anything takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Collecting Process, and what goes in and out of it.
pub(super) struct World {
    pub(super) collecting: Collecting,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tcp: SocketAddr,
    pub(super) udp: SocketAddr,
    pub(super) netflow: SocketAddr,
    pub(super) grpc: SocketAddr,
    reported: mpsc::Receiver<Reported>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl World {
    pub(super) async fn start(options: CollectOptions, cluster: Option<&str>) -> Self {
        let listening = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = [bind_udp(here, 1 << 20).unwrap(), bind_udp(here, 1 << 20).unwrap()];
        let [tcp, grpc] = [0, 1].map(|at| listening[at].local_addr().unwrap());
        let [udp, netflow] = [0, 1].map(|at| sockets[at].local_addr().unwrap());

        let (sender, reported) = mpsc::channel(1024);
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::new(Metrics::default());
        let room = Room::new(options.limits.records, sender);
        let cluster =
            cluster.map(|yaml| Arc::new(ArcSwap::from_pointee(Cluster::from_yaml(yaml).unwrap())));
        let epoch = Epoch::new(Instant::now(), 1_700_000_000_000);
        let collecting = Collecting::new(options, room, Arc::clone(&metrics), cluster, epoch);
        let mut tasks = JoinSet::new();
        let [of_tcp, of_grpc] = listening;
        let [of_udp, of_netflow] = sockets;
        let (it, stopped_) = (collecting.clone(), stopped.clone());
        tasks.spawn(async move { it.tcp(of_tcp, stopped_).await });
        let (it, stopped_) = (collecting.clone(), stopped.clone());
        tasks.spawn(async move { it.grpc(of_grpc, None, stopped_).await });
        let (it, stopped_) = (collecting.clone(), stopped.clone());
        tasks.spawn(async move { it.udp(of_udp, stopped_).await });
        let it = collecting.clone();
        tasks.spawn(async move { it.netflow(of_netflow, stopped).await });
        Self { collecting, metrics, tcp, udp, netflow, grpc, reported, stop, tasks }
    }

    pub(super) async fn plain() -> Self {
        Self::start(CollectOptions::default(), None).await
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.tcp).await.unwrap()
    }

    /// Sends the messages in a session of their own, which stays open.
    pub(super) async fn send(&self, messages: &[Vec<u8>]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(&messages.concat()).await.unwrap();
        stream
    }

    /// Sends each message in a datagram to `to`.
    pub(super) async fn send_to(&self, to: SocketAddr, messages: &[Vec<u8>]) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for message in messages {
            socket.send_to(message, to).await.unwrap();
        }
        socket
    }

    /// Records, until there are as many as that.
    pub(super) async fn records(&mut self, count: usize) -> Vec<FlowRecord> {
        let mut records = Vec::new();
        while records.len() < count {
            let next = timeout(PATIENCE, self.reported.recv()).await;
            let Ok(reported) = next else { panic!("{} of {count} came", records.len()) };
            records.extend(reported.expect("it goes on").records);
        }
        assert_eq!(records.len(), count, "{records:?}");
        records
    }

    /// Waits until sessions have ended for this reason.
    pub(super) async fn ended(&self, reason: EndReason, sessions: u64) {
        let is_so = || self.metrics.ended(reason) == sessions;
        self.until(&format!("{sessions} ended: {}", reason.label()), is_so).await;
    }

    pub(super) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let seen = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = timeout(PATIENCE, seen).await;
        assert!(in_time.is_ok(), "not {what}: {}", self.told());
    }

    /// All metrics.
    pub(super) fn told(&self) -> String {
        let mut registry = Registry::default();
        self.metrics.register(&mut registry);
        self.collecting.connected().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    /// The value of one metric, labels included in `name`.
    #[track_caller]
    pub(super) fn value(&self, name: &str) -> u64 {
        let (told, name) = (self.told(), format!("fyke_aggregator_{name} "));
        let value = told.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap_or_else(|| panic!("{name} is not in {told}")).parse().unwrap()
    }

    /// Whatever came before, a session works, and so does ending.
    pub(super) async fn goes_on(mut self) {
        let before = self.metrics.records_received.get();
        let session = self.send(&messages(5)).await;
        assert_eq!(self.records(5).await.len(), 5);
        assert_eq!(self.metrics.records_received.get(), before + 5);
        drop(session);
        self.stop.send_replace(true);
        while let Some(ended) = timeout(PATIENCE, self.tasks.join_next()).await.unwrap() {
            ended.unwrap();
        }
        assert_eq!(self.metrics.ended(EndReason::Panicked), 0);
        assert_eq!(
            (self.metrics.sessions.get(), self.collecting.connected().sessions(9).1),
            (0, 0)
        );
    }
}

/// A message of `sets`, by hand.
pub(super) fn message(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let length = u16::try_from(16 + body.len()).unwrap();
    let mut message = vec![0, 10];
    message.extend(length.to_be_bytes());
    message.extend(1_700_000_000_u32.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(domain.to_be_bytes());
    message.extend(body);
    message
}

pub(super) fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap();
    [id.to_be_bytes().as_slice(), &length.to_be_bytes(), body].concat()
}

/// A Template Record: enterprise, element and length of each field.
pub(super) fn template_record(id: u16, fields: &[(u32, u16, u16)]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap();
    let mut record = [id.to_be_bytes(), count.to_be_bytes()].concat();
    for &(pen, element, length) in fields {
        let bit = if pen == 0 { 0 } else { 0x8000 };
        record.extend((element | bit).to_be_bytes());
        record.extend(length.to_be_bytes());
        if pen != 0 {
            record.extend(pen.to_be_bytes());
        }
    }
    record
}
