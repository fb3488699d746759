//! The Templates of one Transport Session, by Observation Domain and id.
//!
//! A Template may be sent again at any time. If it says the same, what was compiled from it stays;
//! if it says something else, it breaks a rule (RFC 7011, section 8.1) and [`Rules`] decides. Where
//! it takes the place of the old one, so does one that is refused: to decode new records with an
//! old Template would be worse than not to decode them.

use std::time::Instant;

use hashbrown::HashMap;

use super::{Limits, Redefinition, Rules, Summary, layout::Layout, list::TemplatesOfDomains};
use crate::{
    message::{OPTIONS_TEMPLATE_SET, SetError, TEMPLATE_SET, TemplateError},
    reader::Reader,
    template::{FieldSpecifier, Template, TemplateId},
};

/// The shortest Template Record: an id and a field count. What is left of a Set below this is
/// padding.
const SHORTEST: usize = 4;

#[derive(Debug)]
pub(super) struct Templates<P> {
    known: HashMap<(u32, TemplateId), Known<P>>,
    limits: Limits,
    rules: Rules,
    /// No Template was last sent before this.
    first_sent: Option<Instant>,
}

/// A Template and what follows from it.
#[derive(Debug)]
pub(super) struct Known<P> {
    pub(super) template: Template,
    pub(super) plan: P,
    /// Its minimum is at least 1.
    pub(super) layout: Layout,
    /// When it was last sent, if the session is told the time.
    sent: Option<Instant>,
}

/// What a Template Record asks for.
enum Request {
    Define(Template),
    /// Has more fields than are remembered; they have been skipped.
    DefineTooLong(TemplateId),
    Withdraw(TemplateId),
    WithdrawAll,
}

impl<P> Templates<P> {
    pub(super) fn new(limits: Limits, rules: Rules) -> Self {
        Self { known: HashMap::new(), limits, rules, first_sent: None }
    }

    pub(super) fn get(&self, domain: u32, id: TemplateId) -> Option<&Known<P>> {
        self.known.get(&(domain, id))
    }

    /// Does what the records of a Template Set or Options Template Set ask for.
    pub(super) fn learn(
        &mut self,
        mut set: Reader<'_>,
        set_id: u16,
        now: Option<Instant>,
        summary: &mut Summary,
        compile: &mut impl FnMut(&Template) -> P,
    ) -> Result<(), SetError> {
        let domain = summary.header.domain;
        while set.remaining() >= SHORTEST {
            let offset = set.offset();
            let request = self
                .request(&mut set, set_id)
                .map_err(|source| SetError::Template { offset, source })?;
            match request {
                Request::Define(template) => {
                    self.define(domain, template, now, summary, compile)
                        .map_err(|source| SetError::Template { offset, source })?;
                }
                Request::DefineTooLong(id) => self.refuse(domain, id, summary),
                Request::Withdraw(id) => {
                    summary.withdrawals += u32::from(self.known.remove(&(domain, id)).is_some());
                }
                Request::WithdrawAll => self.withdraw_all(domain, set_id, summary),
            }
        }
        Ok(())
    }

    /// Reads one record of a Template Set or Options Template Set (RFC 7011, section 3.4).
    fn request(&self, set: &mut Reader<'_>, set_id: u16) -> Result<Request, TemplateError> {
        let id = set.u16()?;
        let field_count = set.u16()?;
        if field_count == 0 {
            // RFC 7011, section 8.1: the Set ID in the place of a Template ID means all.
            let all = id == set_id;
            return Ok(if all {
                Request::WithdrawAll
            } else {
                Request::Withdraw(TemplateId::new(id)?)
            });
        }
        let id = TemplateId::new(id)?;
        let scope_count = match set_id {
            OPTIONS_TEMPLATE_SET => scope(set.u16()?, field_count)?,
            _ => 0,
        };
        if usize::from(field_count) > self.limits.fields_per_template {
            for _ in 0..field_count {
                FieldSpecifier::decode(set)?;
            }
            return Ok(Request::DefineTooLong(id));
        }
        let fields =
            (0..field_count).map(|_| FieldSpecifier::decode(set)).collect::<Result<_, _>>()?;
        Ok(Request::Define(Template { id, fields, scope_count }))
    }

    fn define(
        &mut self,
        domain: u32,
        template: Template,
        now: Option<Instant>,
        summary: &mut Summary,
        compile: &mut impl FnMut(&Template) -> P,
    ) -> Result<(), TemplateError> {
        let key = (domain, template.id);
        let old = self.known.get_mut(&key);
        let is_new = old.is_none();
        if let Some(old) = old {
            if old.template == template {
                old.sent = now;
                return Ok(());
            }
            if self.rules.redefinition == Redefinition::Malformed {
                return Err(TemplateError::Redefined(template.id.get()));
            }
            summary.redefinitions += 1;
        }
        let layout = Layout::of(&template);
        let full = is_new && self.known.len() >= self.limits.templates;
        // Records of no bytes cannot be told apart, and there would be no end to them.
        if full || layout.minimum() == 0 {
            self.refuse(domain, template.id, summary);
            return Ok(());
        }
        let plan = compile(&template);
        self.known.insert(key, Known { template, plan, layout, sent: now });
        // Time does not run backwards: a Template sent now is never the first but if alone.
        self.first_sent = self.first_sent.or(now);
        summary.templates += 1;
        Ok(())
    }

    /// Forgets the Templates that have not been sent for longer than they live.
    ///
    /// Called once per message, and looks through the Templates only when the one that was sent
    /// first may be due.
    pub(super) fn expire(&mut self, now: Option<Instant>, summary: &mut Summary) {
        let (Some(now), Some(lifetime)) = (now, self.rules.template_lifetime) else {
            return;
        };
        if self.first_sent.is_none_or(|sent| now.saturating_duration_since(sent) <= lifetime) {
            return;
        }
        self.known.retain(|_, known| {
            let expired =
                known.sent.is_some_and(|sent| now.saturating_duration_since(sent) > lifetime);
            summary.templates_expired += u32::from(expired);
            !expired
        });
        self.first_sent = self.known.values().filter_map(|known| known.sent).min();
    }

    fn refuse(&mut self, domain: u32, id: TemplateId, summary: &mut Summary) {
        self.known.remove(&(domain, id));
        summary.templates_refused += 1;
    }

    /// Forgets all Templates of a domain, or all its Options Templates.
    fn withdraw_all(&mut self, domain: u32, set_id: u16, summary: &mut Summary) {
        let options = set_id != TEMPLATE_SET;
        self.known.retain(|&(of, _), known| {
            let withdrawn = of == domain && known.template.is_options() == options;
            summary.withdrawals += u32::from(withdrawn);
            !withdrawn
        });
    }
}

impl<P> TemplatesOfDomains for Templates<P> {
    fn template(&self, domain: u32, id: TemplateId) -> Option<&Template> {
        self.get(domain, id).map(|known| &known.template)
    }
}

/// Checks that a scope is at least one field, and no more than there are.
const fn scope(scope: u16, fields: u16) -> Result<u16, TemplateError> {
    if scope == 0 || scope > fields {
        return Err(TemplateError::Scope { scope, fields });
    }
    Ok(scope)
}
