//! How a trial makes the program die at a certain place, or hurry.

/// Divides the times after which a worker calls itself stuck.
pub(crate) const TIME_SCALE: &str = "HURRY_OFFBOARDER";

/// The release that a worker says it is.
pub(crate) const RELEASE: &str = "RELEASE_OFFBOARDER";

/// The step in which a worker panics.
pub(crate) const PANIC_AT: &str = "PANIC_OFFBOARDER_AT";

/// With this setting, users who fail alike are no surge.
pub(crate) const MANY_DEAD_LETTERS: (&str, &str) = ("SURGE_OFFBOARDER", "1000");

/// Right after a worker has taken up a job.
pub(crate) const IN_ITS_RUN: &str = "in its visit";

const DIE_AT: &str = "KILL_OFFBOARDER_AT";
const DIED_AT: &str = "KILLED AT ";

/// The settings of a process that dies at `point` of the work on a user: the name of the point, or
/// its number in the order in which the process gets there.
pub(crate) fn die_at(user_id: &str, point: &str) -> [(String, String); 1] {
    [(DIE_AT.to_owned(), format!("{user_id}:{point}"))]
}

/// The point at which a process died, by what it wrote to standard error.
pub(crate) fn died_at(errors: &str) -> Option<&str> {
    let mut lines = errors.lines().rev();
    lines.find_map(|line| line.strip_prefix(DIED_AT))
}
