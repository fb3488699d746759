//! Which records are in which block.

use std::sync::Arc;

use flow::FlowRecord;
use store::Mark;
use store::clickhouse::{Block, Columns};

use super::note::Range;

/// Rows of a block at most, but for those of one batch.
pub(super) const MOST_ROWS: usize = 100_000;
/// Bytes of its values, before they are compressed.
const MOST_BYTES: usize = 48 << 20;
/// Rows of a block that an earlier process has begun.
const MOST_REPEATED: usize = 2 * MOST_ROWS;

/// How often a table may refuse rows of a block that leave by halves: three single rows of 100,000
/// are found with that.
const MOST_REFUSALS: u32 = 60;

/// Rows of a block.
pub(super) type Rows = std::ops::Range<usize>;

/// A block that is being filled.
#[derive(Debug, Default)]
pub(super) struct Open {
    block: Block,
    range: Option<Range>,
}

/// A block that nothing is added to any more, since the server may have it already.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) block: Arc<Block>,
    pub(super) range: Option<Range>,
    /// What the server knows it by.
    pub(super) token: String,
    /// An attempt may have succeeded without our knowing.
    pub(super) is_in_doubt: bool,
    /// Rows that the server neither has nor refuses, what leaves next last.
    left: Vec<Rows>,
    /// How many rows the table refuses, and how often it said so.
    pub(super) refused: u64,
    pub(super) refusals: u32,
}

/// Fills one block after the other.
#[derive(Debug)]
pub(super) struct Blocks {
    open: Open,
    /// Where the log stands behind the batch that comes next.
    approached: Option<Mark>,
    /// What an earlier process had on its way: it must be one block again.
    repeated: Option<Range>,
    /// Of this process, for blocks whose records are in no log.
    id: u64,
    count: u64,
    /// One that is gone, for its memory.
    spare: Block,
}

impl Default for Blocks {
    fn default() -> Self {
        let (open, id) = (Open::default(), rand::random());
        Self { open, approached: None, repeated: None, id, count: 0, spare: Block::default() }
    }
}

impl Blocks {
    /// These are to be one block again.
    pub(super) fn repeat(&mut self, range: Option<Range>) {
        self.repeated = range;
    }

    pub(super) fn approach(&mut self, mark: Mark) {
        self.approached = Some(mark);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.block.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        let block = &self.open.block;
        match self.repeating() {
            Some(range) => {
                let came = self.open.range.is_some_and(|open| open.to >= range.to);
                came || block.rows() >= MOST_REPEATED
            }
            None => block.rows() >= MOST_ROWS || block.bytes() >= MOST_BYTES,
        }
    }

    /// Records are still to come of a block that was on its way before. To let it leave without
    /// them would give its name to other content.
    pub(super) fn is_short(&self) -> bool {
        self.repeating().is_some() && !self.is_full()
    }

    /// The block that is filled is one that was on its way before.
    fn repeating(&self) -> Option<Range> {
        let (repeated, open) = (self.repeated?, self.open.range?);
        (open.log == repeated.log && open.from >= repeated.from && open.from < repeated.to)
            .then_some(repeated)
    }

    /// Adds what belongs to the block that is filled, and returns how many records that is. What is
    /// left belongs to the next one.
    pub(super) fn add(&mut self, records: &[FlowRecord], columns: &Columns, uuid: &str) -> usize {
        if self.is_empty() {
            let spare = std::mem::take(&mut self.spare);
            self.open.block = Block::new(columns, uuid).reusing(spare);
            self.open.range = None;
        } else if self.repeating().is_some() && self.is_full() {
            // It should have left; what comes now must not be lost for that.
            self.repeated = None;
        }
        let length = records.len() as u64;
        if let Some(mark) = self.approached {
            let from = mark.record.saturating_sub(length);
            let range = self.open.range.get_or_insert(Range { log: mark.log, from, to: from });
            range.to = mark.record;
        }
        let mut taken = records.len();
        if let (Some(repeated), Some(mark)) = (self.repeating(), self.approached) {
            let over = mark.record.saturating_sub(repeated.to).min(length);
            taken -= usize::try_from(over).unwrap_or(taken);
            if let Some(range) = &mut self.open.range {
                range.to -= over;
            }
        }
        self.open.block.push(records.get(..taken).unwrap_or_default());
        taken
    }

    /// The table is not what it was: what it does not have is left out.
    pub(super) fn keep(&mut self, columns: &Columns) {
        self.open.block.keep(columns);
    }

    /// The server has it.
    pub(super) fn reuse(&mut self, sealed: Sealed) {
        if let Ok(block) = Arc::try_unwrap(sealed.block) {
            self.spare = block;
        }
    }

    /// Begins a new block; returns the one that was filled.
    pub(super) fn seal(&mut self) -> Sealed {
        // Records that are gone from the log since are not in it, but nothing else is either:
        // numbers are not given twice ([`Sink::has_named`](crate::Sink::has_named)).
        let range = self.repeating().or(self.open.range);
        if self.repeating().is_some() {
            self.repeated = None;
        }
        let token = if let Some(Range { log, from, to }) = range {
            format!("fyke-{log:016x}-{from}-{to}")
        } else {
            self.count += 1;
            format!("fyke-{:016x}-{}", self.id, self.count)
        };
        let Open { block, .. } = std::mem::take(&mut self.open);
        Sealed::new(block, range, token)
    }
}

impl Sealed {
    fn new(block: Block, range: Option<Range>, token: String) -> Self {
        let left = std::iter::once(0..block.rows()).collect();
        let block = Arc::new(block);
        Self { block, range, token, is_in_doubt: false, left, refused: 0, refusals: 0 }
    }

    /// The rows that leave next, and what the server knows those by.
    pub(super) fn next(&self) -> Option<(Rows, String)> {
        let rows = self.left.last()?.clone();
        let is_whole = rows == (0..self.block.rows());
        let token = if is_whole {
            self.token.clone()
        } else {
            format!("{}-rows-{}-{}", self.token, rows.start, rows.end)
        };
        Some((rows, token))
    }

    /// The server has those.
    pub(super) fn stored(&mut self) {
        self.left.pop();
    }

    /// The table refuses those: they leave by halves, unless there is one, or it refuses too much.
    /// Always the same ones, so that a process that comes later makes the same tokens. Returns how
    /// many rows nobody tries any more.
    pub(super) fn refuse(&mut self) -> u64 {
        let Some(rows) = self.left.pop() else { return 0 };
        self.refusals += 1;
        if rows.len() > 1 && self.refusals <= MOST_REFUSALS {
            let middle = rows.start + rows.len() / 2;
            self.left.extend([middle..rows.end, rows.start..middle]);
            return 0;
        }
        self.refused += rows.len() as u64;
        rows.len() as u64
    }

    /// Leaves out what the table does not have any more.
    pub(super) fn keep(&mut self, columns: &Columns) {
        if let Some(block) = Arc::get_mut(&mut self.block) {
            block.keep(columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn columns() -> Columns {
        let (name, kind) = ("tcpState".to_owned(), "String".to_owned());
        Columns::of([(&name, &kind)])
    }

    fn repeating(range: Range) -> Blocks {
        let mut blocks = Blocks::default();
        blocks.repeat(Some(range));
        blocks
    }

    fn add(blocks: &mut Blocks, records: usize, behind: u64) -> usize {
        blocks.approach(Mark { log: 7, record: behind });
        blocks.add(&vec![FlowRecord::default(); records], &columns(), "")
    }

    #[test]
    fn a_block_is_known_by_its_records() {
        let mut blocks = Blocks::default();
        assert_eq!((add(&mut blocks, 5, 15), add(&mut blocks, 5, 20)), (5, 5));
        let sealed = blocks.seal();
        assert_eq!(sealed.range, Some(Range { log: 7, from: 10, to: 20 }));
        assert_eq!(sealed.token, "fyke-0000000000000007-10-20");
        assert_eq!(sealed.block.rows(), 10);
        assert!(blocks.is_empty());
        add(&mut blocks, 1, 21);
        assert_eq!(blocks.seal().range, Some(Range { log: 7, from: 20, to: 21 }));
    }

    #[test]
    fn what_was_on_its_way_is_one_block_again() {
        let repeated = Range { log: 7, from: 10, to: 20 };
        let mut blocks = repeating(repeated);
        assert_eq!(add(&mut blocks, 4, 14), 4);
        assert!(!blocks.is_full());
        // The batch goes beyond it.
        assert_eq!(add(&mut blocks, 10, 24), 6);
        assert!(blocks.is_full());
        let sealed = blocks.seal();
        assert_eq!((sealed.range, sealed.block.rows()), (Some(repeated), 10));
        blocks.approach(Mark { log: 7, record: 24 });
        assert_eq!(blocks.add(&vec![FlowRecord::default(); 4], &columns(), ""), 4);
        assert!(!blocks.is_full());
        assert_eq!(blocks.seal().range, Some(Range { log: 7, from: 20, to: 24 }));
    }

    #[test]
    fn what_is_lost_of_it_does_not_change_its_name() {
        let repeated = Range { log: 7, from: 10, to: 20 };
        let mut blocks = repeating(repeated);
        add(&mut blocks, 3, 15);
        assert!(blocks.is_short(), "the rest may still come");
        // What comes next is behind it.
        assert_eq!(add(&mut blocks, 3, 33), 0);
        assert!(!blocks.is_short());
        let sealed = blocks.seal();
        assert_eq!(
            (sealed.token.as_str(), sealed.block.rows()),
            ("fyke-0000000000000007-10-20", 3)
        );
        let mut blocks = repeating(repeated);
        add(&mut blocks, 3, 33);
        assert_eq!(blocks.seal().token, "fyke-0000000000000007-30-33", "it is another one");
        let mut blocks = repeating(Range { log: 8, ..repeated });
        add(&mut blocks, 3, 15);
        assert_eq!(blocks.seal().token, "fyke-0000000000000007-12-15", "of another spool");
    }

    #[test]
    fn without_a_log_no_two_blocks_have_one_token() {
        let mut tokens = HashSet::new();
        for _ in 0..2 {
            let mut blocks = Blocks::default();
            for _ in 0..2 {
                blocks.add(&[FlowRecord::default()], &columns(), "");
                assert!(tokens.insert(blocks.seal().token));
            }
        }
    }

    /// What a table makes of a block that refuses some rows, and in how many attempts.
    fn inserted(rows: usize, bad: &[usize]) -> (Vec<usize>, u64, usize) {
        let mut blocks = Blocks::default();
        blocks.add(&vec![FlowRecord::default(); rows], &columns(), "");
        let (mut sealed, mut stored, mut tokens) = (blocks.seal(), Vec::new(), HashSet::new());
        while let Some((rows, token)) = sealed.next() {
            assert!(tokens.insert(token));
            if bad.iter().any(|row| rows.contains(row)) {
                sealed.refuse();
            } else {
                stored.extend(rows);
                sealed.stored();
            }
        }
        (stored, sealed.refused, tokens.len())
    }

    #[test]
    fn a_row_that_is_refused_costs_no_other() {
        for bad in [vec![], vec![0], vec![777], vec![999], vec![0, 500, 999]] {
            let (stored, refused, _) = inserted(1000, &bad);
            let expected: Vec<_> = (0..1000).filter(|row| !bad.contains(row)).collect();
            assert_eq!((stored, refused), (expected, bad.len() as u64));
        }
        assert_eq!(inserted(MOST_ROWS, &[4, 50_000, 99_999]).1, 3);
    }

    #[test]
    fn a_table_that_refuses_everything_is_not_asked_for_ever() {
        let all: Vec<_> = (0..1000).collect();
        let (stored, refused, attempts) = inserted(1000, &all);
        assert_eq!((stored.len(), refused), (0, 1000));
        assert!(attempts <= 2 * MOST_REFUSALS as usize + 1, "{attempts}");
    }

    #[test]
    fn a_block_is_full_by_rows_and_by_bytes() {
        let mut blocks = Blocks::default();
        add(&mut blocks, MOST_ROWS - 1, 1 << 20);
        assert!(!blocks.is_full());
        add(&mut blocks, 1, 1 << 21);
        assert!(blocks.is_full());
        blocks.seal();
        for number in 0..48 {
            let state = format!("{number}{}", "x".repeat(1 << 20));
            let record = FlowRecord { tcp_state: state.as_str().into(), ..FlowRecord::default() };
            assert!(!blocks.is_full());
            blocks.add(&[record], &columns(), "");
        }
        assert!(blocks.is_full());
    }
}
