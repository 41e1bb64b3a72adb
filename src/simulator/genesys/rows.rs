//! The conversations of a user as this API shows them, and which of them an interval has.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::super::conversations::fill;
use super::super::timeline::Row;
use super::super::world::World;
use super::person::{Kind, Person, id_of};

const DAY_SECONDS: i64 = 86_400;

/// What the user was in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Agent,
    Monitor,
    Coach,
    Assigner,
}

/// The same for the same conversation, in turn.
const fn role_of(row: Row) -> Role {
    match row.number() % 20 {
        6 => Role::Monitor,
        12 => Role::Coach,
        18 => Role::Assigner,
        _ => Role::Agent,
    }
}

/// Conversations of one user.
pub(super) struct Rows<'a> {
    person: &'a Person,
    world: &'a World,
    /// The one that has not ended.
    open: Option<Row>,
    found: Vec<Row>,
}

/// From the first midnight to the last of the days that an interval touches.
pub(super) fn touched_days(
    world: &World,
    from: Timestamp,
    to: Timestamp,
) -> (Timestamp, Timestamp) {
    let last_day_too = world.unknowns.is("interval_matching", "last_day_too");
    let end = if last_day_too {
        to.as_second()
    } else {
        (to.as_nanosecond() - 1)
            .div_euclid(1_000_000_000)
            .try_into()
            .unwrap_or_default()
    };
    let midnight = |seconds: i64, otherwise| {
        Timestamp::from_second(seconds - seconds.rem_euclid(DAY_SECONDS)).unwrap_or(otherwise)
    };
    let first = midnight(from.as_second(), Timestamp::MIN);
    let last = midnight(end.saturating_add(DAY_SECONDS), Timestamp::MAX);

    (first, last)
}

impl<'a> Rows<'a> {
    /// Those that a query for `[from, to)` finds, in order of their beginning.
    pub(super) fn find(
        world: &'a World,
        person: &'a Person,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        let mut rows = Self {
            person,
            world,
            open: Some(person)
                .filter(|person| person.record.open_conversation)
                .and_then(|person| person.timeline.newest()),
            found: Vec::new(),
        };
        if from >= to {
            return rows;
        }

        let must_be_within = world.unknowns.is("interval_matching", "active_within");
        let (first, last) = touched_days(world, from, to);
        let mut found = person.timeline.rows(first, last);
        found.retain(|row| {
            let begin = person.timeline.start(*row);
            rows.matches(*row) && (!must_be_within || (begin < to && rows.end(begin) >= from))
        });
        rows.found = found;

        rows
    }

    fn end(&self, start: Timestamp) -> Timestamp {
        let length = self.world.options.conversation_length;
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        start.checked_add(length).unwrap_or(Timestamp::MAX)
    }

    /// Whether a filter by the user's ID finds a conversation in which it had this role.
    fn matches(&self, row: Row) -> bool {
        let role = role_of(row);
        match self.world.unknowns.get("matching_roles") {
            "participants" => role != Role::Assigner,
            "agent" => role == Role::Agent,
            _ => true,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// Leaves out the newest conversation of all until that long after the deactivation.
    pub(super) fn without_the_late(&mut self, delay: Duration) {
        let deactivated_at = self.person.deactivated_at;
        let is_out = deactivated_at.is_none_or(|at| Instant::now() >= at + delay);
        if self.person.is_active || !is_out {
            let newest = self.person.timeline.newest();
            self.found.retain(|row| Some(*row) != newest);
        }
    }

    pub(super) fn newest_first(&mut self) {
        self.found.reverse();
    }

    /// Writes a JSON array of those from `begin`, at most `size`.
    pub(super) fn write_array(&self, begin: usize, size: usize, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, row) in self.found.iter().skip(begin).take(size).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.write(*row, out);
        }
        out.push(b']');
    }

    fn write(&self, row: Row, out: &mut Vec<u8>) {
        let begin = out.len();
        let start = self.person.timeline.start(row);
        let end = if self.open == Some(row) {
            String::new()
        } else {
            format!(r#" "conversationEnd":"{:.3}","#, self.end(start))
        };
        let id = id_of(&self.person.id, Kind::Conversation, row.number());
        let head = format!(
            r#"{{"conversationId":"{id}","conversationStart":"{start:.3}",{end}"divisionIds":["{}"],"mediaStatsMinConversationMos":4.90,"participants":[{{"participantId":"{id}","purpose":"customer","sessions":[]}},{}],"evaluations":["#,
            super::DIVISION_ID,
            self.participant(row, &id),
        );
        out.extend_from_slice(head.as_bytes());
        fill(out, begin, self.person.conversation_bytes);
        out.extend_from_slice(br#"{"last":true}]}"#);
    }

    /// The participant that the user is, or in whose session it is the assigner.
    fn participant(&self, row: Row, conversation: &str) -> String {
        let user = &self.person.id;
        let id = id_of(user, Kind::Participant, row.number());
        let purpose = match role_of(row) {
            Role::Agent => "agent",
            Role::Monitor => "monitor",
            Role::Coach => "coach",
            Role::Assigner => {
                return format!(
                    r#"{{"participantId":"{id}","purpose":"agent","sessions":[{{"mediaType":"email","assignerId":"{user}"}}]}}"#
                );
            }
        };
        format!(
            r#"{{"participantId":"{id}","userId":"{user}","purpose":"{purpose}","sessions":[{{"mediaType":"voice","sessionId":"{conversation}"}}]}}"#
        )
    }
}
