//! The configuration in force, written so that `--config` can read it.

use std::fmt::Display;

use config::duration::format as duration;
use config::write::{self, Line, text};
use config::{Key, Origin, Setting};

use super::values::{PROTOCOLS, profile_word};
use super::{Collector, OWN, ProtocolFilter, Settings, keys};

impl Settings {
    /// Every key with its value, and who gave it.
    pub fn to_yaml(&self) -> String {
        let path = |path: &std::path::PathBuf| text(&path.to_string_lossy());
        let maybe_path = |it: &Option<std::path::PathBuf>| it.as_ref().map_or(text(""), path);
        let Collector { address, ca, certificate, key, server_name } = &self.collector;
        let lines = [
            line(&keys::ENABLE, &self.enable, |it| it.word().to_owned()),
            line(&keys::NODE, &self.node, |it| text(it)),
            line(&keys::CLUSTER, &self.cluster, path),
            line(&keys::COLLECTOR, address, |it| text(&it.to_string())),
            line(&keys::CA, ca, maybe_path),
            line(&keys::CERTIFICATE, certificate, maybe_path),
            line(&keys::PRIVATE_KEY, key, maybe_path),
            line(&keys::SERVER_NAME, server_name, |it| text(it.as_deref().unwrap_or_default())),
            line(&keys::POLL, &self.poll_interval, |it| duration(*it)),
            line(&keys::ACTIVE, &self.active_timeout, |it| duration(*it)),
            line(&keys::IDLE, &self.idle_timeout, |it| duration(*it)),
            line(&keys::PROTOCOLS, &self.protocols, |it| protocols(it.as_ref())),
            line(&keys::PROFILE, &self.profile, |it| profile_word(*it).to_owned()),
            line(&keys::ZONES, &self.zones, |it| list(it)),
            line(&keys::RELIABLE, &self.reliable_events, bool::to_string),
            line(&keys::SET_SYSCTLS, &self.set_sysctls, bool::to_string),
            line(&keys::CONNECTIONS, &self.connections, usize::to_string),
            line(&keys::ADMIN, &self.admin, |it| text(&it.to_string())),
            line(&keys::COPY, &self.copy, maybe_path),
        ];
        write::file(&lines)
    }
}

fn line<T>(key: &Key, setting: &Setting<T>, value: impl Fn(&T) -> String) -> Line {
    let raised =
        setting.raised_from.as_ref().map(|asked| format!(", clamped from {}", value(asked)));
    let origin = match (&setting.origin, key.default) {
        (Origin::Default, "") => "not set".to_owned(),
        (origin, _) => origin.to_string(),
    };
    Line {
        path: key.current_name(OWN).unwrap_or_default(),
        above: Vec::new(),
        value: value(&setting.value),
        is_off: false,
        behind: Some(origin + &raised.unwrap_or_default()),
    }
}

fn protocols(filter: Option<&ProtocolFilter>) -> String {
    let Some(filter) = filter else { return "null".to_owned() };
    let allowed = PROTOCOLS.iter().filter(|(_, number)| filter.allows(*number));
    list(&allowed.map(|(word, _)| *word).collect::<Vec<_>>())
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    format!("[{}]", items.join(", "))
}
