use flow::{Field, FlowRecord};

/// The attributes that a destination is not told. They stay in the Templates, as if unset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redaction(Vec<&'static str>);

impl Redaction {
    /// Adds an attribute by its name in the field table. Returns false if there is none such.
    #[must_use]
    pub fn add(&mut self, name: &str) -> bool {
        let Some(field) = Field::all().find(|field| field.name == name) else { return false };
        if !self.0.contains(&field.name) {
            self.0.push(field.name);
        }
        true
    }

    pub fn names(&self) -> &[&'static str] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Unsets what is not to be told.
    pub fn apply(&self, record: &mut FlowRecord) {
        for field in Field::all().filter(|field| self.0.contains(&field.name)) {
            field.blank(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attributes_of_the_table_are_named() {
        let mut redaction = Redaction::default();
        assert!(redaction.add("sourcePodName") && redaction.add("sourcePodName"));
        assert!(!redaction.add("sourcePodname") && !redaction.add(""));
        assert_eq!(redaction.names(), ["sourcePodName"]);
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut redaction = Redaction::default();
        assert!(redaction.add("sourcePodName"));
        let mut record = FlowRecord::default();
        record.source.pod = "secret".into();
        record.destination.pod = "public".into();
        redaction.apply(&mut record);
        assert_eq!((record.source.pod.as_str(), record.destination.pod.as_str()), ("", "public"));
    }
}
