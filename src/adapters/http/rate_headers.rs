//! What a server says of its rate limit with each answer: `RateLimit` (draft-ietf-httpapi-ratelimit-headers, in its old and its
//! new form), its parts `RateLimit-Remaining` and `RateLimit-Reset`, and `inin-ratelimit-*` of Genesys Cloud. `RateLimit-Policy`
//! says no more than what remains already shows.

use std::time::Duration;

use reqwest::header::HeaderMap;

/// Servers round up to a second, and count what is on its way.
const ROUNDING: Duration = Duration::from_secs(1);
/// More is not believed.
const LONGEST: Duration = Duration::from_hours(1);

/// This many calls are left until the server starts its count again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remaining {
    calls: u64,
    reset: Duration,
}

impl Remaining {
    /// `None` where a header is absent or makes no sense.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let header = |name| headers.get(name)?.to_str().ok();
        let number = |name| header(name)?.trim().parse::<u64>().ok();
        let listed = |names: [&str; 2]| -> Option<u64> {
            // The new form may list several policies; the first is as good as any, since each answer has them.
            let first = header("ratelimit")?.split(',');
            let parts = first.flat_map(|item| item.split(';'));
            let mut named = parts.filter_map(|part| part.split_once('='));
            named
                .find(|(name, _)| names.contains(&name.trim()))?
                .1
                .trim()
                .parse()
                .ok()
        };
        let counted = || {
            let allowed = number("inin-ratelimit-allowed")?;
            Some(allowed.saturating_sub(number("inin-ratelimit-count")?))
        };

        let calls = listed(["r", "remaining"])
            .or_else(|| number("ratelimit-remaining"))
            .or_else(counted)?;
        let reset = listed(["t", "reset"])
            .or_else(|| number("ratelimit-reset"))
            .or_else(|| number("inin-ratelimit-reset"))?;
        Some(Self {
            calls,
            reset: Duration::from_secs(reset).min(LONGEST),
        })
    }

    /// How long to wait until what remains lasts to the end at this rate. Windows of a second are too short to be steered by
    /// answers.
    pub(super) fn pause_at(self, per_second: f64) -> Option<Duration> {
        if self.calls == 0 {
            return (self.reset > ROUNDING).then_some(self.reset);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let lasts = Duration::try_from_secs_f64(self.calls as f64 / per_second).ok()?;
        let pause = self.reset.checked_sub(ROUNDING)?.checked_sub(lasts)?;
        (pause >= ROUNDING).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Option<(u64, u64)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Remaining::read(&map).map(|said| (said.calls, said.reset.as_secs()))
    }

    #[test]
    fn each_way_to_say_what_remains_is_read_and_odd_ones_are_ignored() {
        assert_eq!(
            read(&[("ratelimit", "\"default\";r=50;t=30")]),
            Some((50, 30))
        );
        let old = "limit=100, remaining=0, reset=5";
        assert_eq!(read(&[("ratelimit", old)]), Some((0, 5)));
        let parts = [("ratelimit-remaining", "7"), ("ratelimit-reset", "9")];
        assert_eq!(read(&parts), Some((7, 9)));
        let genesys = [
            ("inin-ratelimit-count", "301"),
            ("inin-ratelimit-allowed", "300"),
            ("inin-ratelimit-reset", "41"),
        ];
        assert_eq!(read(&genesys), Some((0, 41)));
        for odd in [
            "",
            "r",
            "r=;t=",
            "r=-1;t=5",
            "r=1.5;t=5",
            "r=5",
            "t=5",
            "r=x;t=5",
        ] {
            assert_eq!(read(&[("ratelimit", odd)]), None, "{odd}");
        }
        let endless = [("ratelimit", "r=0;t=99999999999")];
        assert_eq!(read(&endless), Some((0, 3600)));
    }

    #[test]
    fn all_wait_until_what_remains_lasts_to_the_end() {
        let pause = |calls, reset| {
            let reset = Duration::from_secs(reset);
            Remaining { calls, reset }
                .pause_at(5.0)
                .map(|pause| pause.as_secs())
        };
        assert_eq!(pause(0, 5), Some(5));
        assert_eq!(
            pause(10, 20),
            Some(17),
            "ten last two seconds, and one is for rounding"
        );
        assert_eq!(pause(0, 1), None, "our own window is as long");
        assert_eq!(pause(100, 20), None);
        assert_eq!(pause(97, 21), None, "less than rounding can make");
        assert_eq!(pause(1_000_000, 1), None);
        assert_eq!(pause(0, 0), None);
    }
}
