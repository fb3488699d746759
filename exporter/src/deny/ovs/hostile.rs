//! What no switch sends must do no harm.

use proptest::prelude::*;

use super::session::{Failure, Session, Told};
use super::{Options, recorded};

/// Hands over whatever comes, as one message, and looks at what is told.
fn receive(session: &mut Session<'_>, message: &[u8]) -> (usize, Result<(), Failure>) {
    let mut count = 0;
    let end = session.receive(message, 1, &mut |told| {
        count += 1;
        if let Told::Denied(denied) = told {
            assert_eq!(denied.packets, 1);
            // 40 is what IPv6's own length does not count.
            assert!(denied.octets <= 65_535 + 40);
        }
    });
    (count, end)
}

const RECORDED: [&str; 6] = [
    recorded::ISOLATED_SERVICE,
    recorded::REJECTED6,
    recorded::DROPPED_PING6,
    recorded::PAUSED,
    recorded::FLOWS,
    recorded::HELLO,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 8..200)) {
        let options = Options::of_bridge("br-int");
        receive(&mut Session::new(&options), &bytes).1.ok();
    }

    /// Real messages with a few bytes changed, cut off or doubled: the parts are still reached.
    #[test]
    fn damaged_messages_tell_at_most_one_thing(
        which in 0..RECORDED.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut message = recorded::bytes(RECORDED[which]);
        for (place, byte) in changes {
            let place = place.index(message.len());
            message[place] = byte;
        }
        if is_cut {
            message.truncate(cut.index(message.len()));
        }
        let options = Options::of_bridge("br-int");
        let mut session = Session::new(&options);
        receive(&mut session, &recorded::bytes(recorded::HELLO)).1.ok();
        let asked = session.outbox.bytes().len();
        let (count, _) = receive(&mut session, &message);
        // An answer that cannot be read is told as such, and with what could be read of it.
        prop_assert!(count <= 2);
        // It cannot make us say more than it has said itself, but for what follows from it once.
        prop_assert!(session.outbox.bytes().len() - asked <= message.len() + 64 + 160);
    }
}
