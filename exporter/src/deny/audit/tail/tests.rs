use std::io::Write;

use super::*;

/// A writer of a log, and its reader.
struct World {
    directory: tempfile::TempDir,
    tail: Tail,
    lines: Vec<String>,
    broken: Vec<Broken>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tail = Tail::new(directory.path().join("np.log"));
        Self { directory, tail, lines: Vec::new(), broken: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, text: &str) {
        let options = File::options().append(true).create(true).open(self.path("np.log"));
        options.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rotate(&self, number: usize) {
        let to = self.path(&format!("np-2026-11-21T15-00-{number:02}.000.log"));
        fs::rename(self.path("np.log"), to).unwrap();
    }

    fn poll(&mut self) -> bool {
        let Self { tail, lines, broken, .. } = self;
        let is_there = tail.poll(&mut |line| match line {
            Ok(line) => lines.push(String::from_utf8(line.to_vec()).unwrap()),
            Err(why) => broken.push(why),
        });
        is_there.unwrap()
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        self.poll();
        let lines: Vec<_> = self.lines.iter().map(|line| line.trim_end()).collect();
        assert_eq!(lines, expected);
    }
}

#[test]
fn what_was_there_before_is_not_told() {
    let mut world = World::new();
    world.write("old\nhalf of ");
    world.check(&[]);
    world.write("a line\nnew\n");
    world.check(&["new"]);
}

#[test]
fn a_file_that_comes_later_is_told_from_its_beginning() {
    let mut world = World::new();
    assert!(!world.poll());
    world.write("1\n");
    world.check(&["1"]);
    assert!(world.poll());
}

#[test]
fn a_line_is_told_when_it_is_whole() {
    let mut world = World::new();
    world.write("");
    world.check(&[]);
    world.write("a li");
    world.check(&[]);
    world.write("ne\n");
    world.check(&["a line"]);
}

#[test]
fn a_file_is_read_to_its_end_when_another_takes_its_place() {
    let mut world = World::new();
    world.write("");
    world.poll();
    world.write("1\n");
    world.rotate(1);
    // The path names nothing for a moment.
    assert!(world.poll());
    world.write("2\n");
    world.check(&["1", "2"]);
    world.write("3\n");
    world.rotate(2);
    world.write("4\n");
    world.rotate(3);
    world.write("5\n");
    world.rotate(4);
    world.write("6\n");
    world.check(&["1", "2", "3", "4", "5", "6"]);
    assert_eq!(world.broken, []);
}

#[test]
fn what_is_packed_away_stays_away() {
    let mut world = World::new();
    world.write("");
    world.poll();
    world.write("1\n");
    world.rotate(1);
    fs::write(world.path("np-2026-11-21T15-00-02.000.log.gz"), "2\n").unwrap();
    fs::write(world.path("np-notes.txt"), "3\n").unwrap();
    world.write("4\n");
    world.check(&["1", "4"]);
}

#[test]
fn a_file_that_is_cut_short_is_read_from_its_beginning() {
    let mut world = World::new();
    world.write("");
    world.poll();
    world.write("1\n2\nhalf");
    world.check(&["1", "2"]);
    File::options().write(true).open(world.path("np.log")).unwrap().set_len(0).unwrap();
    world.write("3\n");
    world.check(&["1", "2", "3"]);
    assert_eq!(world.broken, [Broken::Torn]);
}

#[test]
fn a_line_that_its_file_tore_is_counted() {
    let mut world = World::new();
    world.write("");
    world.poll();
    world.write("1\nhalf");
    world.rotate(1);
    world.write("2\n");
    world.check(&["1", "2"]);
    assert_eq!(world.broken, [Broken::Torn]);
}

#[test]
fn a_line_is_too_long_by_one_byte() {
    let mut world = World::new();
    world.write("");
    world.poll();
    let fits = "a".repeat(LINE_LIMIT - 1);
    world.write(&format!("{fits}\nb{fits}\n{}\nlast\n", "c".repeat(3 * CHUNK)));
    world.check(&[&fits, "last"]);
    assert_eq!(world.broken, [Broken::TooLong; 2]);
    assert!(world.tail.current.unwrap().lines.begun.capacity() <= 2 * LINE_LIMIT);
}

#[test]
fn a_path_that_is_no_file_is_an_error() {
    let mut world = World::new();
    fs::create_dir(world.path("np.log")).unwrap();
    let error = world.tail.poll(&mut |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /"), "{error}");
}
