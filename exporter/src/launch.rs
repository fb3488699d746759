//! From the command line to a running exporter, or to what there is to say about its
//! configuration.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use daemon::configuration;

use crate::args::{Args, Given};
use crate::settings::{self, Loaded, Settings};

/// Does what the command line asks for. `ready` is called once events are received and every
/// connection that was there before is known.
pub fn launch(
    args: &Args,
    out: &mut impl Write,
    errors: &mut impl Write,
    ready: impl FnOnce(),
) -> io::Result<ExitCode> {
    let Loaded { settings, findings, texts } = args.given().load();
    let run = |settings| {
        daemon::run_to_exit(crate::app::run(args.given().clone(), settings, texts, ready))
    };
    configuration::launch(args.asked(), settings, &findings, (out, errors), Settings::to_yaml, run)
}

impl Given {
    /// Reads everything anew.
    pub(crate) fn load(&self) -> Loaded {
        let variable = |name| Some((name, std::env::var(name).ok()?));
        let environment: HashMap<_, _> =
            ["NODE_NAME", settings::POD].into_iter().filter_map(variable).collect();
        let files = self.files();
        let texts = files.read();
        let sources = files.sources(&texts, self.flags(), environment);
        let (settings, findings) = Settings::resolve(sources);
        Loaded { settings, findings, texts }
    }
}
