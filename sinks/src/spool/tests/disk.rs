//! What is found on disk: cut off, damaged, or of an earlier version.

use super::*;

/// What a sink gets of a copy, and what it lost.
async fn salvage(copy: &TempDir) -> (Vec<u64>, u64, u64) {
    let spool = open(&options(copy.path()));
    let (mut queue, counters) = queue(&spool, "log");
    spool.close();
    let got = drain(&mut queue).await;
    spool.finish().await;
    (got, read(&counters.given), counters.lost())
}

/// A spool of 20 blocks with 5 records each, of which the sink has not taken any.
fn twenty_blocks() -> TempDir {
    let dir = tempdir().unwrap();
    block_on(async {
        let spool = open(&options(dir.path()));
        let (_queue, _) = queue(&spool, "log");
        fill(&spool, 0..100, 5).await;
    });
    dir
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn of_a_log_that_was_cut_all_whole_blocks_are_read(cut in any::<prop::sample::Index>()) {
        let dir = twenty_blocks();
        let copy = killed(dir.path());
        let [segment] = &segments(copy.path())[..] else { panic!("one segment") };
        let bytes = fs::read(segment).unwrap();
        let cut = cut.index(bytes.len());
        fs::write(segment, &bytes[..cut]).unwrap();
        let whole = (cut * 20 / bytes.len()) as u64 * 5;
        let (got, given, lost) = block_on(salvage(&copy));
        prop_assert_eq!(got, ids(0..whole));
        prop_assert_eq!((given, lost), (whole, 0));
        // And it goes on from there.
        block_on(async {
            let spool = open(&options(copy.path()));
            let (mut queue, _) = queue(&spool, "log");
            spool.append(&batch(whole..whole + 7));
            spool.close();
            assert_eq!(drain(&mut queue).await, ids(whole..whole + 7));
        });
    }

    #[test]
    fn a_flipped_bit_costs_its_block_alone(bit in any::<prop::sample::Index>()) {
        let dir = twenty_blocks();
        let copy = killed(dir.path());
        let [segment] = &segments(copy.path())[..] else { panic!("one segment") };
        let mut bytes = fs::read(segment).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(segment, &bytes).unwrap();
        let hit = (bit / 8 * 20 / bytes.len()) as u64 * 5;
        let (got, given, lost) = block_on(salvage(&copy));
        let rest: Vec<_> = (0..100).filter(|id| !(hit..hit + 5).contains(id)).collect();
        prop_assert_eq!(&got, &rest);
        // A last block whose header is gone has never been.
        prop_assert_eq!(given, got.len() as u64 + lost);
        prop_assert!(lost == 5 || hit == 95, "{}", lost);
    }
}

#[tokio::test]
async fn a_sink_that_has_come_further_than_the_log_gets_nothing_twice() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (mut queue, _) = self::queue(&spool, "store");
    let (other, _) = self::queue(&spool, "log");
    fill(&spool, 0..20, 10).await;
    assert_eq!(queue.recv().await.unwrap().len(), 10);
    assert_eq!(queue.recv().await.unwrap().len(), 10);
    let mark = queue.mark().unwrap();
    // A power failure: the second block is gone, and no cursor was noted.
    let copy = killed(dir.path());
    drop((queue, other, spool));
    let segment = &segments(copy.path())[0];
    let bytes = fs::read(segment).unwrap();
    fs::write(segment, &bytes[..bytes.len() - 1]).unwrap();

    let spool = open(&options(copy.path()));
    let (mut queue, counters) = self::queue(&spool, "store");
    let (mut other, others) = self::queue(&spool, "log");
    queue.resume_at(mark);
    spool.append(&batch(20..25));
    spool.close();
    assert_eq!(drain(&mut queue).await, ids(20..25));
    assert_eq!(drain(&mut other).await, [ids(0..10), ids(20..25)].concat());
    assert_eq!((read(&counters.given), counters.lost()), (5, 0));
    assert_eq!((read(&others.given), read(&others.unreadable)), (25, 10));
}

/// Every input the fuzzer kept is tried by every test run.
#[test]
fn segments_of_the_corpus_do_no_harm() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../ipfix/fuzz/corpus/segment");
    let inputs =
        fs::read_dir(corpus).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let inputs: Vec<_> = inputs.collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        check_segment(&input);
    }
}

/// A segment of two blocks is what the fuzzer begins with; a version that writes another format
/// must still read it.
#[tokio::test]
async fn a_segment_of_an_earlier_version_is_read() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../ipfix/fuzz/corpus/segment/two-blocks");
    if std::env::var_os("FYKE_GOLDEN").is_some() {
        let dir = tempdir().unwrap();
        let spool = open(&options(dir.path()));
        let (_queue, _) = queue(&spool, "log");
        fill(&spool, 0..3, 2).await;
        fs::copy(&segments(dir.path())[0], golden).unwrap();
    }
    let dir = tempdir().unwrap();
    fs::copy(golden, dir.path().join(format!("{:020}.segment", 0))).unwrap();
    let mut seen = Vec::new();
    open(&options(dir.path())).visit(|record| seen.push(record.clone())).unwrap();
    assert_eq!(seen, batch(0..3).to_vec());
}
