//! From the command line to a running aggregator, or to what there is to say about its
//! configuration.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use daemon::configuration;

use crate::args::{Args, Given};
use crate::settings::{Loaded, Settings, variables};

/// Does what the command line asks for. `ready` is called once records are taken.
pub fn launch(
    args: &Args,
    out: &mut impl Write,
    errors: &mut impl Write,
    ready: impl FnOnce(),
) -> io::Result<ExitCode> {
    let Loaded { settings, findings, text } = args.given().load();
    let run = |settings| {
        if args.speaks_of_log_files() {
            tracing::info!("the log goes to standard error; RUST_LOG says how much of it");
        }
        daemon::run_to_exit(crate::app::run(args.given().clone(), settings, text, ready))
    };
    configuration::launch(args.asked(), settings, &findings, (out, errors), Settings::to_yaml, run)
}

impl Given {
    /// Reads everything anew.
    pub(crate) fn load(&self) -> Loaded {
        let variable = |name| Some((name, std::env::var(name).ok()?));
        let environment: HashMap<_, _> = variables().filter_map(variable).collect();
        let file = self.file();
        let text = file.read();
        let sources = file.sources(&text, self.flags(), environment);
        let (settings, findings) = Settings::resolve(sources);
        Loaded { settings, findings, text }
    }
}
