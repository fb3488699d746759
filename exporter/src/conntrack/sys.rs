//! Two system calls that no safe crate among our dependencies offers.

#![expect(unsafe_code, reason = "the only place of this crate that needs it")]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

/// Asks for a receive buffer of `bytes`, beyond `net.core.rmem_max` where we are privileged.
pub(super) fn force_receive_buffer(socket: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    const LENGTH: libc::socklen_t = 4;
    // SAFETY: the descriptor is borrowed, so it is open. The pointer is to a live `i32`, and the
    // length passed is that of an `i32`; the kernel only reads it during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const bytes).cast(),
            LENGTH,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits until the socket has data or an error to tell, or `timeout` has passed.
///
/// A signal ends the wait early. Less than a millisecond waits a millisecond, not zero.
pub(super) fn wait_readable(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let milliseconds = timeout.as_micros().div_ceil(1000);
    let timeout = i32::try_from(milliseconds).unwrap_or(i32::MAX);
    let mut waited = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one live, initialised `pollfd` and the count is 1. The kernel
    // writes to it only during the call. The descriptor is borrowed, so it is open.
    let result = unsafe { libc::poll(&raw mut waited, 1, timeout) };
    if result >= 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}
