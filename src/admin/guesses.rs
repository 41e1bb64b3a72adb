//! Slows down and logs clients that guess tokens.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Each wrong token adds this to the delay of its sender.
const COST: Duration = Duration::from_secs(1);
/// This part of the delay is not applied: people mistype, and programs have the old token for a while.
const FREE: Duration = Duration::from_secs(10);
/// The longest delay before a token is checked. It also hits honest clients that share the address.
const LONGEST: Duration = Duration::from_secs(10);
/// The number of addresses that are remembered; further addresses share one entry.
const ADDRESSES: usize = 1024;
/// The log gets at most one line in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Guesses(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// When the delay of an address has elapsed.
    until: HashMap<IpAddr, Instant>,
    /// Wrong tokens since the last line of the log.
    unlogged: u64,
    logged: Option<Instant>,
}

impl Guesses {
    /// How long a token of this peer is delayed before it is checked. A correct token is delayed as a wrong one is, so
    /// that a fast response does not reveal that a token is correct.
    pub(super) fn wait(&self, peer: IpAddr, now: Instant) -> Duration {
        let memory = self.0.lock();
        let until = memory
            .until
            .get(&network(peer))
            .or_else(|| memory.until.get(&OTHERS));
        let owed = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        owed.saturating_sub(FREE).min(LONGEST)
    }

    /// Notes a wrong token of this peer. When a line of the log is due, returns how many there were since the last.
    pub(super) fn wrong(&self, peer: IpAddr, now: Instant) -> Option<u64> {
        let mut memory = self.0.lock();
        let mut peer = network(peer);

        if memory.until.len() >= ADDRESSES && !memory.until.contains_key(&peer) {
            memory.until.retain(|_peer, until| *until > now);
            if memory.until.len() >= ADDRESSES {
                peer = OTHERS;
            }
        }
        let until = memory.until.entry(peer).or_insert(now);
        *until = (*until).max(now).min(now + FREE + LONGEST) + COST;
        memory.unlogged += 1;
        if memory
            .logged
            .is_some_and(|logged| now.saturating_duration_since(logged) < LOG_INTERVAL)
        {
            return None;
        }
        memory.logged = Some(now);

        Some(std::mem::take(&mut memory.unlogged))
    }
}

const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The holder of one IPv6 address usually has 2^64 of them, so a network counts as one.
pub(super) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_guesses_is_delayed_and_no_other_is() {
        let guesses = Guesses::default();
        let now = Instant::now();
        let [attacker, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        for _guess in 0..10 {
            assert_eq!(guesses.wait(attacker, now), Duration::ZERO);
            guesses.wrong(attacker, now);
        }
        guesses.wrong(attacker, now);
        assert_eq!(guesses.wait(attacker, now), COST);
        for _guess in 0..100 {
            guesses.wrong(attacker, now);
        }
        assert_eq!(
            (guesses.wait(attacker, now), guesses.wait(other, now)),
            (LONGEST, Duration::ZERO)
        );
        // The delay ends soon, however many guesses there were.
        assert_eq!(guesses.wait(attacker, now + FREE + LONGEST), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_and_a_network_is_one_address() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for number in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            guesses.wrong(IpAddr::V4(number.into()), now);
        }
        assert!(guesses.0.lock().until.len() <= ADDRESSES + 1);
        assert_eq!(
            guesses.wait([203, 0, 113, 1].into(), now),
            LONGEST,
            "addresses over the limit share one entry"
        );
        guesses.wrong([198, 51, 100, 1].into(), now + FREE + LONGEST + COST);
        assert!(
            guesses.0.lock().until.len() <= 2,
            "elapsed delays are forgotten"
        );
        let address = |text: &str| network(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff"));
        assert_ne!(address("2001:db8:1::1"), address("2001:db8::1"));
        assert_eq!(address("::ffff:192.0.2.1"), IpAddr::from([192, 0, 2, 1]));
    }

    #[test]
    fn the_log_has_the_first_and_then_a_count_from_time_to_time() {
        let guesses = Guesses::default();
        let now = Instant::now();
        let peer = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(guesses.wrong(peer, now), Some(1));
        assert!((0..1000).all(|_guess| guesses.wrong(peer, now).is_none()));
        assert_eq!(guesses.wrong(peer, now + LOG_INTERVAL), Some(1001));
    }
}
