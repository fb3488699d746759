//! Datagrams at a pace, many per system call: a sender that is slower than what it tests tells
//! nothing.
#![expect(unsafe_code, reason = "std sends one datagram per call; this is a thin wrapper")]

use std::{
    io, iter, mem,
    net::UdpSocket,
    os::fd::AsRawFd,
    ptr,
    time::{Duration, Instant},
};

/// Datagrams per call at most.
const BURST: usize = 32;

/// What a sender that did not get the CPU may make up for.
const LATE: Duration = Duration::from_millis(10);

/// A rate, and when the next datagrams may leave.
#[derive(Debug)]
pub struct Pace {
    /// Datagrams per second.
    rate: f64,
    due: Instant,
}

impl Pace {
    /// Begins now, with so many datagrams per second.
    pub fn new(rate: f64) -> Self {
        Self { rate, due: Instant::now() }
    }

    /// As fast as they are taken.
    pub fn none() -> Self {
        Self::new(f64::INFINITY)
    }

    /// Sends `datagrams` through a connected socket, as evenly as calls of 32 allow. A sender that
    /// was late makes up for a hundredth of a second at most: the rest never comes as one burst.
    pub fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        mut datagrams: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        loop {
            let burst: Vec<&[u8]> = datagrams.by_ref().take(BURST).collect();
            if burst.is_empty() {
                return Ok(());
            }
            while Instant::now() < self.due {
                std::hint::spin_loop();
            }
            let count = u32::try_from(burst.len()).unwrap_or(u32::MAX);
            let earliest = Instant::now().checked_sub(LATE).unwrap_or(self.due);
            self.due =
                self.due.max(earliest) + Duration::from_secs_f64(f64::from(count) / self.rate);
            let mut rest = burst.as_slice();
            while !rest.is_empty() {
                let taken = send_many(socket, rest)?;
                rest = &rest[taken..];
            }
        }
    }
}

/// Hands as many of `datagrams` to the kernel as it takes in one call. Returns how many.
fn send_many(socket: &UdpSocket, datagrams: &[&[u8]]) -> io::Result<usize> {
    let mut buffers: Vec<libc::iovec> = datagrams
        .iter()
        .map(|datagram| libc::iovec {
            iov_base: datagram.as_ptr().cast_mut().cast(),
            iov_len: datagram.len(),
        })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = iter::zip(&mut buffers, datagrams)
        .map(|(buffer, _)| {
            // SAFETY: a header of zeros is one without address, buffers and control data.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_iov = ptr::from_mut(buffer);
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: `headers` has `count` headers; each points to one buffer of `buffers`, and that to a
    // datagram the kernel only reads. All outlive the call.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
