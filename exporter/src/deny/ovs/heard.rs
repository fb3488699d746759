//! A whole conversation with a switch, whatever it says: for `crate::fuzzing`.

use super::inbox::Inbox;
use super::session::{Session, Told};
use super::{Options, frame};
use crate::deny::Denied;

/// What came of a conversation.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Heard {
    /// Whole messages that came.
    pub(crate) messages: usize,
    pub(crate) denied: Vec<Denied>,
    /// Bytes that we had to say.
    pub(crate) said: usize,
    others: Vec<Told>,
    failure: Option<String>,
}

/// Takes what comes in pieces of `piece` bytes, until one of us ends it.
pub(crate) fn hear(is_configured: bool, wire: &[u8], piece: usize) -> Heard {
    let mut options = Options::of_bridge("br-int");
    if is_configured {
        options.controller = Some(7);
        options.tables = vec![("IngressRule".to_owned(), 9)];
    }
    let (mut session, mut inbox) = (Session::new(&options), Inbox::new());
    let (mut heard, mut rest) = (Heard::default(), wire);
    while !rest.is_empty() {
        let space = inbox.space();
        let count = piece.min(rest.len()).min(space.len());
        assert!(count > 0, "there is room once all messages are taken");
        let (now, later) = rest.split_at(count);
        space[..count].copy_from_slice(now);
        inbox.filled(count);
        rest = later;
        if let Err(failure) = take(&mut session, &mut inbox, &mut heard) {
            heard.failure = Some(failure);
            break;
        }
    }
    heard.said = session.outbox.bytes().len();
    heard
}

fn take(session: &mut Session<'_>, inbox: &mut Inbox, heard: &mut Heard) -> Result<(), String> {
    while let Some(message) = inbox.next().map_err(|error| error.to_string())? {
        heard.messages += 1;
        if heard.messages.is_multiple_of(8) {
            session.look_again();
        }
        let mut tell = |told| match told {
            Told::Denied(denied) => heard.denied.push(denied),
            other => heard.others.push(other),
        };
        session.receive(message, 1, &mut tell).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Reads a frame, and what it is of.
pub(crate) fn read_frame(bytes: &[u8]) {
    if let Ok(Some(packet)) = frame::read(bytes) {
        assert_eq!(packet.tuple.source().is_ipv4(), packet.tuple.destination().is_ipv4());
    }
}
