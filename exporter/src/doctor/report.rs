//! What was found, for people and programs.

use std::fmt;

use serde::Serialize;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// It could not be looked at, or there is nothing to look at.
    Skip,
    /// Flows arrive, but not all of them, or not all of what they could tell.
    Warn,
    /// No flow arrives, or none with names, or none at one destination.
    Fail,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub verdict: Verdict,
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    #[serde(rename = "step")]
    pub name: &'static str,
    pub findings: Vec<Finding>,
}

/// Everything, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub steps: Vec<Step>,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Skip => "SKIP",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

impl Step {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, findings: Vec::new() }
    }

    pub(super) fn ok(self, found: impl Into<String>) -> Self {
        self.with(Verdict::Ok, found.into(), None)
    }

    pub(super) fn skip(self, found: impl Into<String>) -> Self {
        self.with(Verdict::Skip, found.into(), None)
    }

    pub(super) fn warn(self, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.with(Verdict::Warn, found.into(), Some(remedy.into()))
    }

    pub(super) fn fail(self, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.with(Verdict::Fail, found.into(), Some(remedy.into()))
    }

    fn with(mut self, verdict: Verdict, found: String, remedy: Option<String>) -> Self {
        self.findings.push(Finding { verdict, found, remedy });
        self
    }

    /// The worst of its findings.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Ok)
    }
}

impl Report {
    pub fn has_failed(&self) -> bool {
        self.first_failure().is_some()
    }

    /// What to look after first.
    pub fn first_failure(&self) -> Option<(&Step, &Finding)> {
        let failure = |step: &Step| step.findings.iter().position(|it| it.verdict == Verdict::Fail);
        let (step, at) = self.steps.iter().find_map(|step| Some((step, failure(step)?)))?;
        Some((step, step.findings.get(at)?))
    }

    /// One JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        let worst = self.steps.iter().map(Step::verdict).max().unwrap_or(Verdict::Ok);
        serde_json::json!({
            "verdict": worst,
            "firstFailure": self.first_failure().map(|(step, _)| step.name),
            "steps": self.steps,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { name, findings } in &self.steps {
            writeln!(f, "{name}")?;
            for Finding { verdict, found, remedy } in findings {
                writeln!(f, "  {:<4}  {}", verdict.word(), indented(found))?;
                if let Some(remedy) = remedy {
                    writeln!(f, "     -> {}", indented(remedy))?;
                }
            }
        }
        let Some((step, finding)) = self.first_failure() else {
            return writeln!(f, "\nnothing keeps flows from arriving");
        };
        writeln!(f, "\nfirst failure: {}: {}", step.name, indented(&finding.found))?;
        if let Some(remedy) = &finding.remedy {
            writeln!(f, "     -> {}", indented(remedy))?;
        }
        writeln!(f, "what comes after it may be a consequence")
    }
}

/// Further lines stand below the first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n        ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_again_at_the_end() {
        let report = Report {
            steps: vec![
                Step::new("one").ok("well").warn("less", "do more"),
                Step::new("two").skip("nothing").fail("bad\nvery", "do this"),
                Step::new("three").fail("worse", "do that"),
            ],
        };
        assert!(report.has_failed());
        assert_eq!(
            report.to_string(),
            "one\n  OK    well\n  WARN  less\n     -> do more\n\
             two\n  SKIP  nothing\n  FAIL  bad\n        very\n     -> do this\n\
             three\n  FAIL  worse\n     -> do that\n\n\
             first failure: two: bad\n        very\n     -> do this\n\
             what comes after it may be a consequence\n"
        );
        let json = report.to_json();
        assert_eq!((&json["verdict"], &json["firstFailure"]), (&"fail".into(), &"two".into()));
        assert_eq!(json["steps"][0]["findings"][1]["remedy"], "do more");
    }

    #[test]
    fn a_warning_is_no_failure() {
        let report = Report { steps: vec![Step::new("one").warn("less", "do more")] };
        assert!(!report.has_failed());
        assert_eq!(report.to_json()["verdict"], "warn");
    }
}
