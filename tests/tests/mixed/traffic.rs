//! Flows of a Pod by the thousand: TCP, UDP and ICMP echo, over IPv4 and IPv6, short ones, long
//! ones, and some that the Node denies.
//!
//! Everything is made by threads of this process that have moved into the lab's network
//! namespaces. How much each flow carries follows from its number, so that hardly two are alike.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use cli::demo::lab::{Family, Host, Lab};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, connect, ipproto, recv, send, socket,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Who sends, and who answers.
pub(crate) const POD: Host = Host::PodA1;
const SERVERS: [Host; 2] = [Host::External, Host::PodB1];
/// Whoever the Node lets nobody talk to.
pub(crate) const FORBIDDEN: Host = Host::Aggregator;

pub(crate) const PORT: u16 = 8080;
/// An answer that does not come is none: what counts is what the kernel has seen.
const PATIENCE: Duration = Duration::from_secs(2);

/// A Pod's traffic, with the flows that are still open.
#[derive(Debug)]
pub(crate) struct Traffic {
    pod: PathBuf,
    made: usize,
    open: Vec<Flow>,
}

/// One end of a flow that goes on.
#[derive(Debug)]
enum Flow {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Echo(OwnedFd, Family),
}

impl Traffic {
    /// Has servers answer in `lab`, until this process ends or the lab is gone.
    pub(crate) fn start(lab: &Lab) -> Self {
        let most = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("a limit");
        for host in SERVERS {
            within(&namespace(lab, host), serve).expect("servers");
        }
        Self { pod: namespace(lab, POD), made: 0, open: Vec::new() }
    }

    /// How many flows there have been.
    pub(crate) const fn made(&self) -> usize {
        self.made
    }

    /// Flows that begin and end.
    pub(crate) fn brief(&mut self, count: usize) {
        let opened = self.opened(count, |flow, number| {
            flow.exchange(1 + number % 3, 20 + number % 900);
            if let Flow::Tcp(stream) = flow {
                stream.shutdown(Shutdown::Write).expect("it is open");
                io::copy(stream, &mut io::sink()).expect("its end");
            }
        });
        drop(opened);
    }

    /// Flows that stay, one packet each way so far, and more for TCP.
    pub(crate) fn begin(&mut self, count: usize) {
        let opened = self.opened(count, |flow, number| flow.exchange(1, 20 + number % 900));
        self.open.extend(opened);
    }

    /// `packets` each way on every flow that is open.
    pub(crate) fn go_on(&mut self, packets: usize) {
        for (number, flow) in self.open.iter_mut().enumerate() {
            flow.exchange(packets, 30 + number % 700);
        }
    }

    /// Ends all but `rest` of the flows that are open.
    pub(crate) fn end(&mut self, rest: usize) {
        self.open.truncate(rest);
    }

    /// Packets that go nowhere.
    pub(crate) fn denied(&mut self, count: usize) {
        let numbers = self.made..self.made + count;
        self.made += count;
        let attempts = move || numbers.clone().try_for_each(deny);
        within(&self.pod, attempts).expect("nothing keeps them from being sent");
    }

    fn opened(&mut self, count: usize, mut each: impl FnMut(&mut Flow, usize) + Send) -> Vec<Flow> {
        let numbers = self.made..self.made + count;
        self.made += count;
        let open = |number| {
            let mut flow = Flow::open(number)?;
            each(&mut flow, number);
            Ok(flow)
        };
        within(&self.pod, move || numbers.map(open).collect::<io::Result<_>>()).expect("flows")
    }
}

impl Flow {
    /// The `number`-th: all kinds take their turns.
    fn open(number: usize) -> io::Result<Self> {
        let family = if number.is_multiple_of(2) { Family::V4 } else { Family::V6 };
        let to = SERVERS[number / 2 % 2].address(family);
        match number / 4 % 9 {
            0..4 => {
                let stream = TcpStream::connect((to, PORT))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Self::Tcp(stream))
            }
            4..8 => udp(to).map(Self::Udp),
            _ => Ok(Self::Echo(echo(to)?, family)),
        }
    }

    /// Sends and waits for what comes back, `packets` times.
    fn exchange(&mut self, packets: usize, octets: usize) {
        let mut answer = [0; 1500];
        for _ in 0..packets {
            match self {
                Self::Tcp(stream) => {
                    stream.write_all(&vec![b't'; octets]).expect("it is open");
                    stream.read_exact(&mut answer[..octets]).expect("its echo");
                }
                Self::Udp(socket) => {
                    socket.send(&vec![b'u'; octets]).expect("room");
                    socket.recv(&mut answer).ok();
                }
                Self::Echo(socket, family) => {
                    send(&*socket, &request(*family), SendFlags::empty()).expect("room");
                    recv(&*socket, &mut answer, RecvFlags::empty()).ok();
                }
            }
        }
    }
}

/// One or more packets that are not let through: datagrams, a SYN, or an echo request.
fn deny(number: usize) -> io::Result<()> {
    let family = if number.is_multiple_of(2) { Family::V4 } else { Family::V6 };
    let to = FORBIDDEN.address(family);
    match number / 2 % 5 {
        0 | 1 => {
            let socket = udp(to)?;
            (0..=number % 3).try_for_each(|_| socket.send(&vec![b'd'; number % 800]).map(drop))
        }
        2 | 3 => {
            // Long enough for one SYN, and too short for the next.
            TcpStream::connect_timeout(&(to, PORT).into(), Duration::from_millis(1)).err();
            Ok(())
        }
        _ => {
            send(&echo(to)?, &request(family), SendFlags::empty())?;
            Ok(())
        }
    }
}

fn udp(to: IpAddr) -> io::Result<UdpSocket> {
    let any = if to.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect((to, PORT))?;
    Ok(socket)
}

/// A socket for echo requests with an identifier of its own (`icmp(7)`).
fn echo(to: IpAddr) -> io::Result<OwnedFd> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let socket = socket(family, SocketType::DGRAM, Some(protocol))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    connect(&socket, &SocketAddr::new(to, 0))?;
    Ok(socket)
}

/// An echo request as such a socket takes it: the kernel fills in identifier and checksum.
fn request(family: Family) -> Vec<u8> {
    let kind = match family {
        Family::V4 => 8,
        Family::V6 => 128,
    };
    [&[kind][..], &[0; 64]].concat()
}

/// Sends everything back, in the namespace of this thread.
fn serve() -> io::Result<()> {
    for any in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
        let socket = bind_udp(any)?;
        thread::spawn(move || {
            let mut datagram = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut datagram) {
                // Whoever is not there any more needs no answer.
                socket.send_to(&datagram[..length], from).ok();
            }
        });
        let listener = listen(any)?;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::Builder::new().stack_size(64 << 10).spawn(move || send_back(stream)).ok();
            }
        });
    }
    Ok(())
}

fn send_back(mut stream: TcpStream) {
    stream.set_nodelay(true).ok();
    let mut bytes = [0; 4096];
    while let Ok(length) = stream.read(&mut bytes)
        && length > 0
        && stream.write_all(&bytes[..length]).is_ok()
    {}
}

fn bind_udp(any: IpAddr) -> io::Result<UdpSocket> {
    let family = if any.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::DGRAM, None)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20)?;
    only_v6(&socket, any)?;
    rustix::net::bind(&socket, &SocketAddr::new(any, PORT))?;
    Ok(socket.into())
}

fn listen(any: IpAddr) -> io::Result<TcpListener> {
    let family = if any.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    only_v6(&socket, any)?;
    rustix::net::bind(&socket, &SocketAddr::new(any, PORT))?;
    rustix::net::listen(&socket, 1024)?;
    Ok(socket.into())
}

/// Keeps IPv4 out of sockets for IPv6, where the other has the port.
fn only_v6(socket: &OwnedFd, any: IpAddr) -> io::Result<()> {
    if any.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(socket, true)?;
    }
    Ok(())
}

fn namespace(lab: &Lab, host: Host) -> PathBuf {
    Path::new("/run/netns").join(lab.namespace(host))
}

/// Runs `work` on a thread in a network namespace. Sockets stay where they were made.
pub(crate) fn within<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(move || {
            let namespace = File::open(namespace).expect("a namespace");
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).expect("CAP_SYS_ADMIN");
            work()
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
