//! From the command line to a running aggregator, or to what there is to say about its
//! configuration.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use daemon::configuration::{Task, check, log, tell};

use crate::args::{Args, Given};
use crate::settings::{Loaded, Settings, variables};

/// Does what the command line asks for. `ready` is called once records are taken.
pub fn launch(
    args: &Args,
    out: &mut impl Write,
    errors: &mut impl Write,
    ready: impl FnOnce(),
) -> io::Result<ExitCode> {
    let loaded = args.given().load();
    match (args.task(), loaded.settings) {
        (Task::Check, _) => check(&loaded.findings, out, errors),
        (Task::Print, Some(settings)) => {
            tell(&loaded.findings, errors)?;
            out.write_all(settings.to_yaml().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        (Task::Run, Some(settings)) => {
            daemon::logs::init();
            log(&loaded.findings);
            if args.speaks_of_log_files() {
                tracing::info!("the log goes to standard error; RUST_LOG says how much of it");
            }
            let run = crate::app::run(args.given().clone(), settings, loaded.text, ready);
            Ok(daemon::run_to_exit(run))
        }
        (Task::Print | Task::Run, None) => {
            tell(&loaded.findings, errors)?;
            Ok(ExitCode::FAILURE)
        }
    }
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
