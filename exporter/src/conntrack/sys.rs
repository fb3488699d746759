//! What a netlink socket can do that `netlink-sys` does not offer.

use std::{io, os::fd::BorrowedFd, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force},
};

/// Asks for a receive buffer of `bytes`.
///
/// Without `CAP_NET_ADMIN` in the initial user namespace `net.core.rmem_max` limits it.
pub(crate) fn enlarge_receive_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let forced = set_socket_recv_buffer_size_force(socket, bytes);
    Ok(forced.or_else(|_| set_socket_recv_buffer_size(socket, bytes))?)
}

/// Waits until the socket has data or an error to tell, or `timeout` has passed.
///
/// A signal ends the wait early.
pub(crate) fn wait_readable(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).ok();
    match poll(&mut [PollFd::new(&socket, PollFlags::IN)], timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
