//! The identities of the objects a flow has to do with.

use std::fmt;
use std::str::FromStr;

use crate::Part;

/// An object's `metadata.uid`: a UUID (RFC 9562), in network byte order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub [u8; 16]);

/// Text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12")]
pub struct NoUid;

impl FromStr for Uid {
    type Err = NoUid;

    fn from_str(text: &str) -> Result<Self, NoUid> {
        let text: &[u8; 36] = text.as_bytes().try_into().map_err(|_| NoUid)?;
        let mut bytes = [0; 16];
        let mut half_bytes = 0_usize;
        for (place, character) in text.iter().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                if *character != b'-' {
                    return Err(NoUid);
                }
                continue;
            }
            let digit = char::from(*character).to_digit(16).ok_or(NoUid)?;
            let byte = bytes.get_mut(half_bytes / 2).ok_or(NoUid)?;
            *byte = *byte << 4 | u8::try_from(digit).map_err(|_| NoUid)?;
            half_bytes += 1;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The identities that go with a flow's names, as far as they are known. Those of its ends are
/// with the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Uids {
    pub service: Option<Uid>,
    pub ingress_policy: Option<Uid>,
    pub egress_policy: Option<Uid>,
    pub egress: Option<Uid>,
    pub egress_node: Option<Uid>,
}

impl Part for Uids {
    fn nothing() -> &'static Self {
        static NOTHING: Uids = Uids {
            service: None,
            ingress_policy: None,
            egress_policy: None,
            egress: None,
            egress_node: None,
        };
        &NOTHING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5";

    #[test]
    fn text_and_bytes_are_the_same_uuid() {
        let uid: Uid = TEXT.parse().unwrap();
        assert_eq!(uid.0[..6], [0x0f, 0x6b, 0x3c, 0x9e, 0x75, 0xad]);
        assert_eq!(uid.0[15], 0xe5);
        assert_eq!(uid.to_string(), TEXT);
        assert_eq!(TEXT.to_uppercase().parse(), Ok(uid));
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        let moved = "0f6b3c9e7-5ad-4d1c-8f02-00a1b2c3d4e5";
        let signed = "+f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5";
        for text in ["", "web-0", &TEXT[1..], &format!("{TEXT}0"), moved, signed, &"ä".repeat(18)]
        {
            assert_eq!(text.parse::<Uid>(), Err(NoUid), "{text}");
        }
    }
}
