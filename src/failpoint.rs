//! Places where a test can kill the process: before and after every effect. Release builds have
//! none.
//!
//! `KILL_OFFBOARDER_AT=USER_ID:N` aborts a debug build at the Nth effect boundary, counted from 1,
//! after it first worked on that user; `KILL_OFFBOARDER_AT=USER_ID:after the save` at the first
//! boundary of that name; and `KILL_OFFBOARDER_AT=USER_ID:in its visit` each time it works on that
//! user and on no other. The last line on standard error names the boundary.
//!
//! `HURRY_OFFBOARDER=60` is a time scale: a debug build reads its queues sixty times as often, and
//! its watchdog waits a sixtieth of the time.
//!
//! `RELEASE_OFFBOARDER=9.9.9` is the release that a debug build says it is. `PANIC_OFFBOARDER_AT=archive` makes it panic
//! in each step of that name. `SURGE_OFFBOARDER=1000` is how many users make a surge, for trials that want many
//! dead letters.
//!
//! The crate `fail` is not used: these count the boundaries from the first work on one user on, of
//! all tasks, which is what makes "kill at every boundary" a loop over numbers. A trial that wants
//! the boundaries of that user only lets all other work end before.

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    /// A user, and a number or a name.
    static TARGET: LazyLock<Option<(String, String)>> = LazyLock::new(|| {
        let value = std::env::var("KILL_OFFBOARDER_AT").ok()?;
        let (user_id, at) = value.split_once(':')?;
        Some((user_id.to_owned(), at.to_owned()))
    });
    static ARMED: AtomicBool = AtomicBool::new(false);
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(crate) fn arm(user_id: &str) {
        if TARGET.as_ref().is_some_and(|(wanted, _)| wanted == user_id) {
            ARMED.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn failpoint(place: &str) {
        let Some((_, at)) = TARGET.as_ref().filter(|_| ARMED.load(Ordering::SeqCst)) else {
            return;
        };
        let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if at == place || at.parse() == Ok(number) {
            die(place);
        }
    }

    pub(crate) fn in_visit(user_id: &str) {
        if TARGET
            .as_ref()
            .is_some_and(|(wanted, at)| wanted == user_id && at == "in its visit")
        {
            die("in its visit");
        }
    }

    pub(crate) fn time_scaled(duration: Duration) -> Duration {
        static TIMES: LazyLock<Option<u32>> =
            LazyLock::new(|| std::env::var("HURRY_OFFBOARDER").ok()?.parse().ok());
        duration / TIMES.unwrap_or(1).max(1)
    }

    pub(crate) fn release() -> &'static str {
        static RELEASE: LazyLock<Option<String>> =
            LazyLock::new(|| std::env::var("RELEASE_OFFBOARDER").ok());
        RELEASE.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))
    }

    pub(crate) fn surge_users(usual: u64) -> u64 {
        static USERS: LazyLock<Option<u64>> =
            LazyLock::new(|| std::env::var("SURGE_OFFBOARDER").ok()?.parse().ok());
        USERS.unwrap_or(usual)
    }

    pub(crate) fn in_step(step: &str) {
        static STEP: LazyLock<Option<String>> =
            LazyLock::new(|| std::env::var("PANIC_OFFBOARDER_AT").ok());
        assert!(
            STEP.as_deref() != Some(step),
            "a trial wants a panic in {step}"
        );
    }

    fn die(place: &str) {
        use std::io::Write as _;
        // If this write fails, there is no other place to report it.
        writeln!(std::io::stderr(), "KILLED AT {place}").ok();
        std::process::abort();
    }
}

#[cfg(debug_assertions)]
pub(crate) use armed::{arm, failpoint, in_step, in_visit, release, surge_users, time_scaled};

#[cfg(not(debug_assertions))]
pub(crate) const fn release() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[cfg(not(debug_assertions))]
pub(crate) const fn surge_users(usual: u64) -> u64 {
    usual
}

#[cfg(not(debug_assertions))]
pub(crate) const fn in_step(_step: &str) {}

#[cfg(not(debug_assertions))]
pub(crate) const fn time_scaled(duration: std::time::Duration) -> std::time::Duration {
    duration
}

#[cfg(not(debug_assertions))]
pub(crate) const fn arm(_user_id: &str) {}

#[cfg(not(debug_assertions))]
pub(crate) const fn in_visit(_user_id: &str) {}

#[cfg(not(debug_assertions))]
pub(crate) const fn failpoint(_place: &str) {}

/// Runs an effect between its two failpoints.
pub(crate) async fn effect<T>(name: &str, doing: impl Future<Output = T>) -> T {
    failpoint(&format!("before {name}"));
    let result = doing.await;
    failpoint(&format!("after {name}"));
    result
}
