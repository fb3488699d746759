use std::fmt;

/// What is shown in the place of a secret.
const HIDDEN: &str = "***";

/// A text that nobody is shown: neither in a log, nor in what is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for whoever asks for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Some(Secret::new("open sesame".into()));
        assert_eq!(format!("{secret:?}"), "Some(***)");
        assert_eq!(secret.map(|it| it.to_string()).as_deref(), Some("***"));
    }
}
