//! Which Templates must be sent again (RFC 7011, sections 8.1 and 8.4).
//!
//! On UDP a Template may be lost, and a collector forgets one it has not heard of for a while. So
//! each is sent again every so often, by time or by messages, whichever comes first. On other
//! transports a Template is sent once, and none of this is needed.

use std::time::{Duration, Instant};

use crate::template::{Template, TemplateId};

/// The Templates of one Transport Session, and when each was last sent.
#[derive(Debug)]
pub struct TemplateRefresh {
    every: Duration,
    after_messages: Option<u64>,
    templates: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    template: Template,
    sent: Option<Sent>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    messages: u64,
}

impl TemplateRefresh {
    /// Sends each Template again `every` so often, and after so many messages if that is sooner.
    pub const fn new(every: Duration, after_messages: Option<u64>) -> Self {
        Self { every, after_messages, templates: Vec::new() }
    }

    /// Adds a Template, in the place of the one with its id. It is due at once.
    pub fn add(&mut self, template: Template) {
        self.remove(template.id);
        self.templates.push(Entry { template, sent: None });
    }

    /// Forgets a Template. On UDP that is all there is to do: it must not be withdrawn, and expires
    /// at the collector (RFC 7011, section 8.4).
    pub fn remove(&mut self, id: TemplateId) {
        self.templates.retain(|entry| entry.template.id != id);
    }

    /// Returns the Templates that are due at `now`, when `messages` have been sent so far. Each that
    /// is taken counts as sent.
    pub fn due(&mut self, now: Instant, messages: u64) -> impl Iterator<Item = &Template> {
        let (every, after_messages) = (self.every, self.after_messages);
        self.templates.iter_mut().filter_map(move |entry| {
            let is_due = entry.sent.is_none_or(|sent| {
                now.saturating_duration_since(sent.at) >= every
                    || after_messages
                        .is_some_and(|after| messages.saturating_sub(sent.messages) >= after)
            });
            if !is_due {
                return None;
            }
            entry.sent = Some(Sent { at: now, messages });
            Some(&entry.template)
        })
    }

    /// Returns when a Template is due by time, so that a caller without records to send knows how
    /// long to sleep: `now` if one has yet to be sent, `None` if there are none.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let due = |entry: &Entry| entry.sent.map_or(now, |sent| sent.at + self.every);
        self.templates.iter().map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::iana;

    struct Test {
        start: Instant,
        refresh: TemplateRefresh,
    }

    impl Test {
        fn new(after_messages: Option<u64>) -> Self {
            let mut refresh = TemplateRefresh::new(Duration::from_mins(10), after_messages);
            refresh.add(template(256));
            Self { start: Instant::now(), refresh }
        }

        fn due(&mut self, seconds: u64, messages: u64) -> Vec<u16> {
            let now = self.start + Duration::from_secs(seconds);
            self.refresh.due(now, messages).map(|template| template.id.get()).collect()
        }
    }

    fn template(id: u16) -> Template {
        Template::new(TemplateId::new(id).unwrap(), [iana::OCTET_DELTA_COUNT])
    }

    #[test]
    fn a_template_is_due_at_once_and_then_by_time() {
        let mut test = Test::new(None);
        assert_eq!(test.refresh.next_due(test.start), Some(test.start));
        assert_eq!(test.due(0, 0), [256]);
        assert_eq!(test.refresh.next_due(test.start), Some(test.start + Duration::from_mins(10)));
        assert_eq!(test.due(599, 1_000_000), []);
        assert_eq!(test.due(600, 1_000_000), [256]);
        assert_eq!(test.due(600, 1_000_000), []);
    }

    #[test]
    fn a_template_is_due_after_so_many_messages() {
        let mut test = Test::new(Some(100));
        assert_eq!(test.due(0, 1), [256]);
        assert_eq!(test.due(1, 100), []);
        assert_eq!(test.due(1, 101), [256]);
    }

    #[test]
    fn a_template_that_changed_is_due_and_one_that_is_gone_is_not() {
        let mut test = Test::new(None);
        test.refresh.add(template(257));
        assert_eq!(test.due(0, 0), [256, 257]);
        test.refresh.add(template(256));
        test.refresh.remove(TemplateId::new(257).unwrap());
        assert_eq!(test.due(1, 0), [256]);
        test.refresh.remove(TemplateId::MIN);
        assert_eq!(test.refresh.next_due(test.start), None);
    }
}
