//! The Templates of one Transport Session, by Observation Domain and id.
//!
//! A Template may be sent again at any time. If it says the same, what was compiled from it stays;
//! if it says something else, it takes the place of the old one, as does one that is refused: to
//! decode new records with an old Template would be worse than not to decode them.

use hashbrown::HashMap;

use super::{Limits, Summary};
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
}

/// A Template and what follows from it.
#[derive(Debug)]
pub(super) struct Known<P> {
    pub(super) template: Template,
    pub(super) plan: P,
    /// At least 1.
    pub(super) minimum_record_length: usize,
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
    pub(super) fn new(limits: Limits) -> Self {
        Self { known: HashMap::new(), limits }
    }

    pub(super) fn get(&self, domain: u32, id: TemplateId) -> Option<&Known<P>> {
        self.known.get(&(domain, id))
    }

    /// Does what the records of a Template Set or Options Template Set ask for.
    pub(super) fn learn(
        &mut self,
        mut set: Reader<'_>,
        set_id: u16,
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
                Request::Define(template) => self.define(domain, template, summary, compile),
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
        summary: &mut Summary,
        compile: &mut impl FnMut(&Template) -> P,
    ) {
        let key = (domain, template.id);
        let old = self.known.get(&key);
        if old.is_some_and(|old| old.template == template) {
            return;
        }
        let minimum_record_length = template.minimum_record_length();
        let full = old.is_none() && self.known.len() >= self.limits.templates;
        // Records of no bytes cannot be told apart, and there would be no end to them.
        if full || minimum_record_length == 0 {
            return self.refuse(domain, template.id, summary);
        }
        let plan = compile(&template);
        self.known.insert(key, Known { template, plan, minimum_record_length });
        summary.templates += 1;
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

/// Checks that a scope is at least one field, and no more than there are.
const fn scope(scope: u16, fields: u16) -> Result<u16, TemplateError> {
    if scope == 0 || scope > fields {
        return Err(TemplateError::Scope { scope, fields });
    }
    Ok(scope)
}
