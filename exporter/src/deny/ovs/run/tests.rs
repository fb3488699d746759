use std::sync::Arc;

use tokio::net::UnixListener;

use super::*;
use crate::deny::ovs::recorded::{self, bytes};
use crate::deny::{Counts, Denials, Source, channel};

/// An observer and the switch it talks to, which the test plays.
struct Scene {
    listener: UnixListener,
    counters: Counters,
    counts: Arc<Counts>,
    denials: Denials,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(room: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("br-int.mgmt");
        let listener = UnixListener::bind(&socket).unwrap();
        let (counters, counts) = (Counters::default(), Arc::new(Counts::default()));
        let (reporter, denials) = channel(room, Arc::clone(&counts));
        let options = Options { socket, controller: Some(7), ..Options::of_bridge("br-int") };
        tokio::spawn(watch(options, reporter, counters.clone(), || 1));
        Self { listener, counters, counts, denials, _folder: folder }
    }

    async fn accept(&self) -> UnixStream {
        self.listener.accept().await.unwrap().0
    }

    /// Accepts the connection that follows a session that ended for `reason`.
    async fn accept_after(&self, reason: &'static str, times: u64) -> UnixStream {
        let stream = self.accept().await;
        assert_eq!(self.counters.sessions_ended(reason), times, "{reason}");
        assert!(!self.counts.is_active(Source::Ovs));
        stream
    }
}

/// Reads until a message with this id and type has come.
async fn read_until(stream: &mut UnixStream, kind: u8, id: u32) -> Vec<u8> {
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
        stream.read_exact(&mut body).await.unwrap();
        if header[1] == kind && header[4..] == id.to_be_bytes() {
            return body;
        }
    }
}

/// Answers until the observer watches.
async fn greet(stream: &mut UnixStream) {
    stream.write_all(&bytes(recorded::HELLO)).await.unwrap();
    read_until(stream, 2, 8).await;
    // Closing a socket with unread bytes in it would reset the connection.
    read_until(stream, 18, 7).await;
    stream.write_all(&[6, 3, 0, 8, 0, 0, 0, 8]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sessions_end_for_their_reason_and_begin_anew() {
    let scene = Scene::new(10);
    let mut stream = scene.accept().await;
    greet(&mut stream).await;
    drop(stream);

    let mut stream = scene.accept_after("closed", 1).await;
    stream.write_all(&[6, 0, 0, 3]).await.unwrap();
    let mut stream = scene.accept_after("protocol", 1).await;
    stream.write_all(&[4, 0, 0, 8, 0, 0, 0, 1]).await.unwrap();

    let mut stream = scene.accept_after("version", 1).await;
    greet(&mut stream).await;
    // An error for the format of packet-ins.
    stream.write_all(&[6, 1, 0, 12, 0, 0, 0, 3, 0, 1, 0, 2]).await.unwrap();
    let _stream = scene.accept_after("refused", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_says_nothing_is_left() {
    let scene = Scene::new(10);
    let mut stream = scene.accept().await;
    greet(&mut stream).await;
    let start = tokio::time::Instant::now();
    // Three unanswered probes; answering one gives it as much time again.
    read_until(&mut stream, 2, 2).await;
    stream.write_all(&[6, 3, 0, 8, 0, 0, 0, 2]).await.unwrap();
    for _ in 0..3 {
        read_until(&mut stream, 2, 2).await;
    }
    let _next = scene.accept_after("silent", 1).await;
    assert!((25..60).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_does_not_listen_is_left() {
    let scene = Scene::new(10);
    let stream = scene.accept().await;
    let (_deaf, mut mouth) = stream.into_split();
    let question = [vec![6, 2, 0xff, 0xff, 0, 0, 0, 1], vec![0; 65_527]].concat();
    // Answers fill the socket, since nobody reads them.
    while mouth.write_all(&question).await.is_ok() {}
    let _next = scene.accept_after("stalled", 1).await;
}

#[tokio::test(start_paused = true)]
async fn questions_of_the_switch_are_answered() {
    let scene = Scene::new(10);
    let mut stream = scene.accept().await;
    stream.write_all(&[6, 2, 0, 11, 0, 0, 0, 99, 7, 8, 9]).await.unwrap();
    assert_eq!(read_until(&mut stream, 3, 99).await, [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn packets_without_room_are_counted() {
    let mut scene = Scene::new(3);
    let mut stream = scene.accept().await;
    greet(&mut stream).await;
    let denied = bytes(recorded::ISOLATED_SERVICE);
    let mut damaged = denied.clone();
    // The length of the packet's property.
    damaged[18..20].copy_from_slice(&[0xff, 0xff]);
    for message in [&denied, &damaged, &denied, &denied, &denied, &denied] {
        stream.write_all(message).await.unwrap();
    }
    stream.write_all(&[6, 2, 0, 8, 0, 0, 0, 99]).await.unwrap();
    read_until(&mut stream, 3, 99).await;
    assert_eq!(std::iter::from_fn(|| scene.denials.take()).count(), 3);
    assert_eq!(scene.counts.packets(Source::Ovs), 5);
    assert_eq!(scene.counts.losses(Source::Ovs, Loss::QueueFull), 2);
    assert_eq!(scene.counts.losses(Source::Ovs, Loss::Malformed), 1);
    assert_eq!(scene.counters.passed_over(Passed::Unreadable), 1);
    assert!(scene.counts.is_active(Source::Ovs));
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_is_not_there_is_tried_again() {
    let (counters, counts) = (Counters::default(), Arc::new(Counts::default()));
    let (reporter, _denials) = channel(1, counts);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("br-int.mgmt");
    let options = Options { socket: socket.clone(), ..Options::of_bridge("br-int") };
    tokio::spawn(watch(options, reporter, counters.clone(), || 1));
    sleep(Duration::from_mins(10)).await;
    let failures = counters.connect_failures.get();
    // Half of 30 s on average, once the waits have grown to that.
    assert!((20..80).contains(&failures), "{failures}");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_hangs_up_once_it_is_watched_is_asked_less_and_less() {
    let scene = Scene::new(10);
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(10) {
        greet(&mut scene.accept().await).await;
    }
    let sessions = scene.counters.sessions.get();
    // As many as there are tries of a bridge that is not there.
    assert!((20..80).contains(&sessions), "{sessions}");

    // One that was watched for long is asked again at once.
    let mut stream = scene.accept().await;
    greet(&mut stream).await;
    for _ in 0..7 {
        read_until(&mut stream, 2, 2).await;
        stream.write_all(&[6, 3, 0, 8, 0, 0, 0, 2]).await.unwrap();
    }
    drop(stream);
    let ended = Instant::now();
    scene.accept().await;
    assert!(ended.elapsed() <= RETRY[0], "{:?}", ended.elapsed());
}
