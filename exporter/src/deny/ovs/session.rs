//! One conversation with the switch, without the socket.
//!
//! After the greeting the connection asks for packet-ins in the format it reads, and for the names
//! of tables. Then it looks up which controller the Agent's flows name, and takes that number. It
//! looks again from time to time: the Agent draws another when it starts anew.

use super::Options;
use super::controllers::Controllers;
use super::meaning::{Passed, denied};
use super::message::{self, Message, Part, ProtocolError};
use super::packet_in::PacketIn;
use super::request::{ALL_TABLES, Outbox, Request};
use super::tables::Tables;
use crate::deny::Denied;

/// Transaction ids, by which errors and answers are told apart.
mod ids {
    pub(super) const HELLO: u32 = 1;
    pub(super) const ALIVE: u32 = 2;
    pub(super) const FORMAT: u32 = 3;
    pub(super) const ASYNC: u32 = 4;
    pub(super) const CONTROLLER: u32 = 5;
    pub(super) const NAMES: u32 = 6;
    pub(super) const FLOWS: u32 = 7;
    /// An echo whose answer says that everything before it was done.
    pub(super) const DONE: u32 = 8;
}

/// How often names are asked for while the switch has none. The Agent gives them when it connects,
/// and it may not have come so far.
const QUESTIONS: u8 = 4;

/// What the switch has told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Denied(Denied),
    Passed(Passed),
    /// Denied packets come from now on.
    Watching {
        controller: u16,
        tables: usize,
    },
    /// How many flows tell of denied packets.
    Flows(u64),
    /// An answer cannot be read, or there is none.
    Unanswered,
}

/// Why a session cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("the switch does not keep to OpenFlow")]
    Protocol(#[from] ProtocolError),
    #[error("the bridge does not speak OpenFlow 1.5")]
    Version,
    #[error("the switch refuses request {request} with error {kind}/{code}")]
    Refused { request: u32, kind: u16, code: u16 },
}

/// The state of a conversation.
#[derive(Debug)]
pub(super) struct Session<'a> {
    options: &'a Options,
    tables: Tables,
    /// What to say next.
    pub(super) outbox: Outbox,
    greeted: bool,
    /// The number this connection has taken.
    controller: Option<u16>,
    /// An answer about flows that is under way.
    asked: Option<Controllers>,
    /// The table to ask about.
    table: u8,
    /// Flows that told of denied packets when they were last looked at.
    last: Option<u64>,
    /// Questions for names that are left.
    questions: u8,
}

impl<'a> Session<'a> {
    /// Begins, with a greeting in the outbox.
    pub(super) fn new(options: &'a Options) -> Self {
        let mut outbox = Outbox::default();
        outbox.push(ids::HELLO, Request::Hello);
        let named = options.tables.iter().map(|(name, number)| (name.as_str(), *number));
        let tables = Tables::new(named);
        let (greeted, controller, asked) = (false, None, None);
        let (table, last, questions) = (ALL_TABLES, None, QUESTIONS);
        Self { options, tables, outbox, greeted, controller, asked, table, last, questions }
    }

    /// Takes a whole message.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        now_ns: u64,
        tell: &mut impl FnMut(Told),
    ) -> Result<(), Failure> {
        let (id, message) = message::parse(bytes)?;
        match message {
            Message::Hello { speaks_ours: false } => return Err(Failure::Version),
            Message::Hello { speaks_ours: true } => self.greet(),
            Message::Error { kind, code } => return self.refused(id, kind, code, tell),
            Message::EchoRequest(asked) => self.outbox.push(id, Request::EchoReply(asked)),
            Message::EchoReply if id == ids::DONE => {
                let controller = self.controller.unwrap_or_default();
                tell(Told::Watching { controller, tables: self.tables.known() });
            }
            Message::PacketIn(properties) => {
                let told = PacketIn::read(properties).map_err(|_| Passed::Unreadable);
                let told = told.and_then(|packet_in| denied(&packet_in, &self.tables, now_ns));
                tell(told.map_or_else(Told::Passed, Told::Denied));
            }
            Message::TableFeatures(part) if id == ids::NAMES => self.names(part, tell),
            Message::Flows(part) if id == ids::FLOWS => self.flows(part, tell),
            Message::EchoReply | Message::TableFeatures(_) | Message::Flows(_) | Message::Other => {
            }
        }
        Ok(())
    }

    /// Asks whether the switch is there.
    pub(super) fn probe(&mut self) {
        self.outbox.push(ids::ALIVE, Request::Echo);
    }

    /// Asks again which controller flows name, unless an answer is still under way.
    pub(super) fn look_again(&mut self) {
        if self.greeted && self.asked.is_none() {
            self.ask();
        }
    }

    fn greet(&mut self) {
        if std::mem::replace(&mut self.greeted, true) {
            return;
        }
        self.outbox.push(ids::FORMAT, Request::PacketInFormat);
        self.outbox.push(ids::ASYNC, Request::OnlyPacketIns);
        self.ask_names();
        if let Some(controller) = self.options.controller {
            self.take(controller);
        }
        self.ask();
    }

    fn ask_names(&mut self) {
        if self.questions > 0 {
            self.questions -= 1;
            self.outbox.push(ids::NAMES, Request::TableNames);
        }
    }

    fn ask(&mut self) {
        self.asked = Some(Controllers::default());
        self.outbox.push(ids::FLOWS, Request::ControllerFlows { table: self.table });
    }

    fn take(&mut self, controller: u16) {
        if self.controller == Some(controller) {
            return;
        }
        self.controller = Some(controller);
        self.outbox.push(ids::CONTROLLER, Request::ControllerId(controller));
        self.outbox.push(ids::DONE, Request::Echo);
    }

    fn names(&mut self, part: Part<'_>, tell: &mut impl FnMut(Told)) {
        if self.tables.learn(part.body).is_err() {
            tell(Told::Unanswered);
        }
        // What the configuration says is not overruled.
        for (name, number) in &self.options.tables {
            self.tables.name(*number, name);
        }
    }

    fn flows(&mut self, part: Part<'_>, tell: &mut impl FnMut(Told)) {
        let Some(asked) = &mut self.asked else { return };
        if asked.learn(part.body).is_err() {
            tell(Told::Unanswered);
        }
        if part.is_last
            && let Some(found) = self.asked.take()
        {
            self.found(&found, tell);
        }
    }

    fn found(&mut self, found: &Controllers, tell: &mut impl FnMut(Told)) {
        tell(Told::Flows(found.flows()));
        let last = self.last.replace(found.flows());
        self.table = found.table();
        let before = self.controller;
        if let (None, Some(main)) = (self.options.controller, found.main()) {
            self.take(main);
        }
        // Another Agent, or one that has just begun, may have given other names.
        let is_new = last == Some(0) && found.flows() > 0 || self.controller != before;
        if last.is_some() && is_new {
            self.questions = QUESTIONS;
            self.ask_names();
        } else if last.is_some() && found.flows() > 0 && self.tables.known() == 0 {
            self.ask_names();
        }
    }

    fn refused(
        &mut self,
        request: u32,
        kind: u16,
        code: u16,
        tell: &mut impl FnMut(Told),
    ) -> Result<(), Failure> {
        match request {
            ids::HELLO => Err(Failure::Version),
            // Both make things better and can be configured instead.
            ids::NAMES => {
                tell(Told::Unanswered);
                Ok(())
            }
            ids::FLOWS => {
                self.asked = None;
                tell(Told::Unanswered);
                Ok(())
            }
            _ => Err(Failure::Refused { request, kind, code }),
        }
    }
}

#[cfg(test)]
mod tests;
