//! Standard output, whose reader may go away, such as `head`: that ends a command, and is no error.

use std::fmt;
use std::io::{self, Stdout, Write};
use std::process::ExitCode;

/// Writes to standard output.
#[derive(Debug)]
pub(crate) struct Output(Stdout);

pub(crate) fn output() -> Output {
    Output(io::stdout())
}

/// Nobody reads what is written: not to be taken for a far end that closes its connection.
#[derive(Debug)]
struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

/// Whether this is why a command came to its end.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<ReaderGone>)
    })
}

/// How a command ends that has found something out: a bad verdict stands, told or not.
pub(crate) fn verdict(is_good: bool, told: io::Result<()>) -> anyhow::Result<ExitCode> {
    if !is_good {
        return Ok(ExitCode::FAILURE);
    }
    told?;
    Ok(ExitCode::SUCCESS)
}

fn marked<T>(written: io::Result<T>) -> io::Result<T> {
    written.map_err(|error| match error.kind() {
        kind @ io::ErrorKind::BrokenPipe => io::Error::new(kind, ReaderGone),
        _ => error,
    })
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        marked(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        marked(self.0.flush())
    }
}
