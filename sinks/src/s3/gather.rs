//! Records become objects.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use flow::FlowRecord;
use store::Mark;

use super::Options;
use super::journal::Journal;
use super::name;
use super::object::{Begin, EncodeError, Object, Open, behind};

/// Room for rows is given back beyond this size.
const LINES: usize = 4 << 20;

/// The object that is being filled, and those that are complete.
#[derive(Debug)]
pub(super) struct Gather {
    options: Arc<Options>,
    journal: Option<Journal>,
    open: Option<Open>,
    complete: VecDeque<Object>,
    lines: Vec<u8>,
    /// Records of an object that could not be made, which nobody has asked for yet.
    let_go: u64,
}

impl Gather {
    pub(super) fn new(options: Arc<Options>, journal: Option<Journal>) -> Self {
        let (open, complete) = (None, VecDeque::new());
        Self { options, journal, open, complete, lines: Vec::new(), let_go: 0 }
    }

    /// Takes all records. The first of them is at `mark` in the log, if there is one.
    pub(super) fn take(
        &mut self,
        mut records: &[FlowRecord],
        mut mark: Option<Mark>,
        now_ms: u64,
    ) -> Result<(), EncodeError> {
        while !records.is_empty() {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.begin(mark, now_ms)?,
            };
            let room = self.options.max_records.max(1).saturating_sub(open.records);
            let (now, rest) = records.split_at_checked(room).unwrap_or((records, &[]));
            if let Err(error) = open.append(now, mark, now_ms, &mut self.lines) {
                self.let_go += open.records as u64;
                return Err(error);
            }
            if open.records >= self.options.max_records || open.size() >= self.options.max_bytes {
                self.complete(open)?;
            } else {
                self.open = Some(open);
            }
            mark = behind(now, mark);
            records = rest;
        }
        self.lines.shrink_to(LINES);
        Ok(())
    }

    /// Completes the object that is being filled, if there is one.
    pub(super) fn seal(&mut self) -> Result<(), EncodeError> {
        self.open.take().map_or(Ok(()), |open| self.complete(open))
    }

    /// Those that are complete, oldest first.
    pub(super) fn take_complete(&mut self) -> VecDeque<Object> {
        mem::take(&mut self.complete)
    }

    pub(super) fn take_let_go(&mut self) -> u64 {
        mem::take(&mut self.let_go)
    }

    fn complete(&mut self, open: Open) -> Result<(), EncodeError> {
        let records = open.records as u64;
        let object = open.finish().inspect_err(|_| self.let_go += records)?;
        self.complete.push_back(object);
        Ok(())
    }

    fn begin(&self, mark: Option<Mark>, now_ms: u64) -> Result<Open, EncodeError> {
        // An object that an earlier process began to store there has its name from then.
        let noted = self.journal.as_ref().and_then(Journal::read);
        let known = noted.filter(|noted| Some(noted.begin) == mark);
        let begin = Begin { mark, now_ms: known.map_or(now_ms, |noted| noted.now_ms) };
        Open::new(&self.options.format, name::key(&self.options, begin), begin)
    }
}
