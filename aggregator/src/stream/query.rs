//! What a client wants.

use std::num::NonZeroU32;

use flow::FlowRecord;
use grpc::v1alpha1::GetFlowsRequest;

use super::labels::Labels;
use super::selection::Selection;

/// Filters of one call: each is asked about each flow.
const MOST_FILTERS: usize = 32;

/// A request that has been understood.
#[derive(Debug)]
pub(super) struct Query {
    /// A flow must pass all of them.
    filters: Vec<Selection>,
    labels: Labels,
    /// Milliseconds since 1970.
    since_ms: Option<u64>,
    /// After so many flows the call ends.
    pub(super) most: Option<NonZeroU32>,
    pub(super) follows: bool,
}

impl Query {
    /// An error names the filter that is none, and says why.
    pub(super) fn read(request: &GetFlowsRequest) -> Result<Self, String> {
        let filters = &request.filters;
        if filters.len() > MOST_FILTERS {
            return Err(format!("{} filters; {MOST_FILTERS} are possible", filters.len()));
        }
        let filters = filters.iter().enumerate().map(|(index, filter)| {
            Selection::read(filter).map_err(|why| format!("filter {index}: {why}"))
        });
        let since_ms = request.since.as_ref().map(|since| {
            let seconds = u64::try_from(since.seconds).unwrap_or(0);
            let beyond = u64::try_from(since.nanos).unwrap_or(0).div_ceil(1_000_000);
            seconds.saturating_mul(1000).saturating_add(beyond)
        });
        Ok(Self {
            filters: filters.collect::<Result<_, _>>()?,
            labels: Labels::default(),
            since_ms,
            most: NonZeroU32::new(request.max_count),
            follows: request.follow,
        })
    }

    pub(super) fn wants(&mut self, record: &FlowRecord) -> bool {
        let is_recent =
            self.since_ms.is_none_or(|since| record.end_ms > 0 && record.end_ms >= since);
        is_recent && self.filters.iter().all(|filter| filter.wants(record, &mut self.labels))
    }
}

#[cfg(test)]
mod tests {
    use grpc::v1alpha1::FlowFilter;
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn flows_that_ended_before_are_not_wanted() {
        let since = Some(Timestamp { seconds: 10, nanos: 500_000_001 });
        let request = GetFlowsRequest { since, ..GetFlowsRequest::default() };
        let mut query = Query::read(&request).unwrap();
        let mut wants = |end_ms| query.wants(&FlowRecord { end_ms, ..FlowRecord::default() });
        assert_eq!([0, 10_500, 10_501, 20_000].map(&mut wants), [false, false, true, true]);
        let mut always = Query::read(&GetFlowsRequest::default()).unwrap();
        assert!(always.wants(&FlowRecord::default()));
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_number() {
        let bad = FlowFilter { ips: vec!["10.0.0.0/33".into()], ..FlowFilter::default() };
        let filters = vec![FlowFilter::default(), bad];
        let refused = Query::read(&GetFlowsRequest { filters, ..Default::default() }).unwrap_err();
        assert!(refused.starts_with("filter 1: \"10.0.0.0/33\""), "{refused}");
        let filters = vec![FlowFilter::default(); MOST_FILTERS + 1];
        assert!(Query::read(&GetFlowsRequest { filters, ..Default::default() }).is_err());
    }
}
