//! TCP states by number: there are few, and every flow has one.

use flow::Name;

/// The names of states that were told, by number. Number 0 is none.
#[derive(Debug)]
pub(super) struct States {
    names: Vec<Name>,
    /// How often a name came for which there was no number left.
    pub(super) left_out: u64,
}

/// The kernel has 14. What calls itself a state beyond these is nothing of TCP's.
const LIMIT: usize = 64;

impl States {
    pub(super) fn new() -> Self {
        Self { names: vec![Name::default()], left_out: 0 }
    }

    /// The number of `name`.
    pub(super) fn number(&mut self, name: &Name) -> u8 {
        let known = self.names.iter().position(|known| known == name);
        let number = match known {
            Some(number) => number,
            None if self.names.len() < LIMIT => {
                self.names.push(name.clone());
                self.names.len() - 1
            }
            None => {
                self.left_out += 1;
                0
            }
        };
        u8::try_from(number).unwrap_or(0)
    }

    /// The number of `name` of a flow whose state was `before`, and mostly is still.
    #[inline]
    pub(super) fn number_after(&mut self, before: u8, name: &Name) -> u8 {
        match self.names.get(usize::from(before)) {
            Some(known) if known == name => before,
            _ => self.number(name),
        }
    }

    pub(super) fn name(&self, number: u8) -> Name {
        self.names.get(usize::from(number)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_keeps_its_number_and_nonsense_finds_an_end() {
        let mut states = States::new();
        let established = states.number(&"ESTABLISHED".into());
        for nonsense in 0..1000 {
            states.number(&format!("{nonsense}").as_str().into());
        }
        assert_eq!(states.number_after(0, &"ESTABLISHED".into()), established);
        assert_eq!(states.name(established).as_str(), "ESTABLISHED");
        assert_eq!((states.name(0).as_str(), states.names.len()), ("", LIMIT));
        assert_eq!(states.left_out, 1000 - (LIMIT as u64 - 2));
    }
}
