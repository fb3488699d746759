//! The way to a destination: where messages go, and what they are like.

use std::time::Duration;

use flow::Profile;
use ipfix::encode::Packing;
use ipfix::transport::export::{Messages, Refresh};
use ipfix::transport::{self, Transport as Carrier};

use crate::destination::{Compatibility, Redaction, Spec, Transport};
use crate::tls::{self, TlsError};

/// Over UDP, Templates are sent again after so many messages too.
const REFRESH_MESSAGES: u32 = 1000;

/// What an Exporting Process has to know of its destination.
#[derive(Debug, Clone)]
pub struct Route {
    pub to: transport::Destination,
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
pub enum RouteError {
    #[error("TLS to destination {0} is not possible")]
    Tls(String, #[source] TlsError),
    #[error("destination {0} takes gRPC, which cannot be spoken yet")]
    Grpc(String),
}

impl Route {
    /// Files of TLS are read now, and again before each handshake.
    pub fn new(spec: &Spec) -> Result<Self, RouteError> {
        let carrier = match &spec.transport {
            Transport::Tcp => Carrier::Tcp,
            Transport::Udp => Carrier::Udp,
            Transport::Tls(tls) => {
                let client = tls::client(tls, &spec.host());
                Carrier::Tls(client.map_err(|error| RouteError::Tls(spec.name.clone(), error))?)
            }
            // An Exporting Process of its own kind belongs here.
            Transport::Grpc(_) => return Err(RouteError::Grpc(spec.name.clone())),
        };
        let to = transport::Destination::new(spec.target(), carrier);
        Ok(Self { to, form: Form::of(spec) })
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
