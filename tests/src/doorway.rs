//! A way into a network namespace: what connects to a port of its loopback address gets to the
//! same port of ours.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Listens in `namespace` (a file as under `/run/netns`) for as long as the process runs.
pub fn open(namespace: &Path, port: u16) -> io::Result<()> {
    let namespace = File::open(namespace)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // A socket stays in the namespace that it was made in; the thread that makes it ends.
    let listen = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        TcpListener::bind(address)
    };
    let listener = thread::spawn(listen).join().expect("no panic")?;
    thread::spawn(move || {
        for inside in listener.incoming().flatten() {
            // Who is not there refuses.
            if let Ok(outside) = TcpStream::connect(address) {
                carry(&inside, &outside);
                carry(&outside, &inside);
            }
        }
    });
    Ok(())
}

/// Carries on until either end closes.
fn carry(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Both).ok();
        from.shutdown(Shutdown::Both).ok();
    });
}
