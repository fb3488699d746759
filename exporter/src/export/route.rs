//! The way to a destination: where messages go, and what they are like.

use std::time::Duration;

use flow::Profile;
use ipfix::encode::Packing;
use ipfix::transport;
use ipfix::transport::export::{Messages, Refresh};

use super::Protocol;
use crate::destination::{Compatibility, Redaction, Spec, Transport};
use crate::destinations::{Way, WayError};

/// Over UDP, Templates are sent again after so many messages too.
const REFRESH_MESSAGES: u32 = 1000;

/// What an Exporting Process has to know of its destination.
#[derive(Debug, Clone)]
pub struct Route {
    pub to: transport::Destination,
    pub protocol: Protocol,
    pub form: Form,
}

/// What messages are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub profile: Profile,
    pub compatibility: Compatibility,
    pub redaction: Redaction,
    /// How often Templates are sent over UDP.
    pub template_refresh: Duration,
}

/// Why nothing can be sent to a destination that has no mistake in itself.
#[derive(Debug, thiserror::Error)]
#[error("destination {0} cannot be used")]
pub struct RouteError(pub String, #[source] pub WayError);

impl Route {
    /// What TLS needs is read from now on. Needs a runtime around it.
    pub fn new(spec: &Spec, way: &Way) -> Result<Self, RouteError> {
        let to = way.to(spec).map_err(|error| RouteError(spec.name.clone(), error))?;
        let protocol = match spec.transport {
            Transport::Grpc(_) => Protocol::Grpc,
            Transport::Tcp | Transport::Udp | Transport::Tls(_) => Protocol::Ipfix,
        };
        Ok(Self { to, protocol, form: Form::of(spec) })
    }

    pub(super) fn messages(&self, domain: u32) -> Messages {
        let refresh =
            Refresh { after: self.form.template_refresh, after_messages: REFRESH_MESSAGES };
        Messages {
            packing: self.form.packing(),
            refresh: self.to.is_udp().then_some(refresh),
            ..Messages::conservative(domain, &self.to)
        }
    }
}

impl Form {
    pub fn of(spec: &Spec) -> Self {
        Self {
            profile: spec.profile,
            compatibility: spec.compatibility,
            redaction: spec.redaction.clone(),
            template_refresh: spec.template_refresh,
        }
    }

    /// What goes with a profile unless somebody says otherwise.
    pub fn plain(profile: Profile) -> Self {
        Self {
            profile,
            compatibility: Compatibility::of(profile),
            redaction: Redaction::default(),
            template_refresh: Spec::TEMPLATE_REFRESH,
        }
    }

    /// How many records share a message.
    pub const fn packing(&self) -> Packing {
        match self.compatibility {
            Compatibility::Antrea => Packing::OneRecord,
            Compatibility::Ipfix => Packing::Full,
        }
    }
}
