//! From the command line to a running exporter, or to what there is to say about its
//! configuration.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use daemon::configuration::{Task, check, log, tell};

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
            let run = crate::app::run(args.given().clone(), settings, loaded.texts, ready);
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
        let environment: HashMap<_, _> =
            ["NODE_NAME", settings::POD].into_iter().filter_map(variable).collect();
        let files = self.files();
        let texts = files.read();
        let sources = files.sources(&texts, self.flags(), environment);
        let (settings, findings) = Settings::resolve(sources);
        Loaded { settings, findings, texts }
    }
}
