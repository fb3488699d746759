//! What sinks do beside taking records, in one form for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipfix::transport::export::ExportCounters;
use store::clickhouse::Reason;
use tokio::sync::watch;

use crate::Failure;
use crate::click_house::ClickHouseCounters;
use crate::json::JsonCounters;
use crate::log::LogCounters;

/// Something that sinks count. Not every sink does everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Sessions,
    SessionsLost,
    ConnectFailures,
    Messages,
    MessagesUnsendable,
    TemplateRefreshes,
    RecordsWritten,
    RecordsInDoubt,
    RecordsUnfit,
    RecordsFiltered,
    WriteFailures,
    FilesReopened,
    FilesRotated,
    FilesCompressed,
    FilesRemoved,
    TidyFailures,
    Inserts,
    RowsShort,
    NoteFailures,
    /// Attempts to insert that failed for this reason.
    InsertsFailed(Reason),
    ObjectsStored,
    BytesStored,
    PartsStored,
    ObjectsUnnoted,
    /// Attempts to store an object that failed, by why.
    Failed(Failure),
}

impl Deed {
    /// Those that differ by their reason alone are together.
    pub const ALL: [Self; 23 + Reason::ALL.len() + Failure::ALL.len()] = [
        Self::Sessions,
        Self::SessionsLost,
        Self::ConnectFailures,
        Self::Messages,
        Self::MessagesUnsendable,
        Self::TemplateRefreshes,
        Self::RecordsWritten,
        Self::RecordsInDoubt,
        Self::RecordsUnfit,
        Self::RecordsFiltered,
        Self::WriteFailures,
        Self::FilesReopened,
        Self::FilesRotated,
        Self::FilesCompressed,
        Self::FilesRemoved,
        Self::TidyFailures,
        Self::Inserts,
        Self::RowsShort,
        Self::NoteFailures,
        Self::InsertsFailed(Reason::Unreachable),
        Self::InsertsFailed(Reason::TimedOut),
        Self::InsertsFailed(Reason::Credentials),
        Self::InsertsFailed(Reason::AccessDenied),
        Self::InsertsFailed(Reason::TooManyParts),
        Self::InsertsFailed(Reason::Memory),
        Self::InsertsFailed(Reason::DiskFull),
        Self::InsertsFailed(Reason::UnknownTable),
        Self::InsertsFailed(Reason::Columns),
        Self::InsertsFailed(Reason::ReadOnly),
        Self::InsertsFailed(Reason::Busy),
        Self::InsertsFailed(Reason::Replicas),
        Self::InsertsFailed(Reason::Setting),
        Self::InsertsFailed(Reason::Data),
        Self::InsertsFailed(Reason::Other),
        Self::ObjectsStored,
        Self::BytesStored,
        Self::PartsStored,
        Self::ObjectsUnnoted,
        Self::Failed(Failure::NoBucket),
        Self::Failed(Failure::Denied),
        Self::Failed(Failure::UnknownKey),
        Self::Failed(Failure::Signature),
        Self::Failed(Failure::Expired),
        Self::Failed(Failure::NoCredentials),
        Self::Failed(Failure::WrongRegion),
        Self::Failed(Failure::SlowDown),
        Self::Failed(Failure::Clock),
        Self::Failed(Failure::Timeout),
        Self::Failed(Failure::Unreachable),
        Self::Failed(Failure::Other),
    ];

    /// Why it was done, of what is told by reason.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::InsertsFailed(reason) => Some(reason.word()),
            Self::Failed(failure) => Some(failure.reason()),
            _ => None,
        }
    }
}

/// Where a sink counts what it does; lives on beside the sink.
#[derive(Debug, Clone)]
pub enum Deeds {
    Ipfix(watch::Receiver<ExportCounters>),
    Json(watch::Receiver<JsonCounters>),
    Log(Arc<LogCounters>),
    ClickHouse(watch::Receiver<ClickHouseCounters>),
    #[cfg(feature = "s3")]
    S3(Arc<crate::s3::S3Counters>),
}

impl Deeds {
    /// What has been done so far.
    pub fn done(&self) -> Vec<(Deed, u64)> {
        match self {
            Self::Ipfix(counters) => of_ipfix(&counters.borrow()),
            Self::Json(counters) => of_json(&counters.borrow()),
            Self::Log(counters) => of_log(counters),
            Self::ClickHouse(counters) => of_click_house(&counters.borrow()),
            #[cfg(feature = "s3")]
            Self::S3(counters) => counters.done(),
        }
    }

    /// Whether nothing is added any more: sink and threads of it are gone.
    pub fn are_final(&self) -> bool {
        match self {
            Self::Ipfix(counters) => counters.has_changed().is_err(),
            Self::Json(counters) => counters.has_changed().is_err(),
            Self::Log(counters) => Arc::strong_count(counters) == 1,
            Self::ClickHouse(counters) => counters.has_changed().is_err(),
            #[cfg(feature = "s3")]
            Self::S3(counters) => Arc::strong_count(counters) == 1,
        }
    }
}

fn of_ipfix(counters: &ExportCounters) -> Vec<(Deed, u64)> {
    vec![
        (Deed::Sessions, counters.sessions),
        (Deed::SessionsLost, counters.sessions_lost),
        (Deed::ConnectFailures, counters.connect_failures),
        (Deed::Messages, counters.messages),
        (Deed::MessagesUnsendable, counters.messages_unsendable),
        (Deed::TemplateRefreshes, counters.refreshes),
        (Deed::RecordsWritten, counters.records),
        (Deed::RecordsInDoubt, counters.records_in_doubt),
        (Deed::RecordsUnfit, counters.records_refused),
    ]
}

fn of_json(counters: &JsonCounters) -> Vec<(Deed, u64)> {
    vec![
        (Deed::Sessions, counters.sessions),
        (Deed::SessionsLost, counters.sessions_lost),
        (Deed::ConnectFailures, counters.connect_failures),
        (Deed::RecordsWritten, counters.records),
        (Deed::RecordsInDoubt, counters.records_in_doubt),
        (Deed::RecordsUnfit, counters.records_unsendable),
    ]
}

fn of_click_house(counters: &ClickHouseCounters) -> Vec<(Deed, u64)> {
    let mut done = vec![
        (Deed::Inserts, counters.inserts),
        (Deed::RecordsWritten, counters.rows),
        (Deed::RecordsInDoubt, counters.rows_in_doubt),
        (Deed::RecordsUnfit, counters.rows_refused),
        (Deed::RowsShort, counters.rows_short),
        (Deed::NoteFailures, counters.note_failures),
    ];
    done.extend(counters.by_reason().map(|(reason, count)| (Deed::InsertsFailed(reason), count)));
    done
}

fn of_log(counters: &LogCounters) -> Vec<(Deed, u64)> {
    let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    vec![
        (Deed::RecordsUnfit, now(&counters.refused)),
        (Deed::RecordsFiltered, now(&counters.filtered)),
        (Deed::WriteFailures, now(&counters.write_failures)),
        (Deed::FilesReopened, now(&counters.reopened)),
        (Deed::FilesRotated, now(&counters.rotated)),
        (Deed::FilesCompressed, now(&counters.compressed)),
        (Deed::FilesRemoved, now(&counters.removed)),
        (Deed::TidyFailures, now(&counters.tidying_failed)),
    ]
}
