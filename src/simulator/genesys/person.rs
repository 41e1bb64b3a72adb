//! A user of Genesys Cloud, and what it is a member of.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::super::population::Record;
use super::super::timeline::Timeline;

/// What an invented ID belongs to. The numbers are part of the IDs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Queue = 1,
    GroupQueue = 2,
    Group = 3,
    OtherGroup = 4,
    ForeignGroup = 5,
    Skill = 6,
    Conversation = 7,
    Participant = 8,
    Session = 9,
}

/// The ID of the object of this kind and number that belongs to a user: the same every time.
pub(super) fn id_of(user_id: &str, kind: Kind, number: u64) -> String {
    let owner = Uuid::parse_str(user_id).map_or_else(
        |_| {
            user_id
                .bytes()
                .fold(0_u128, |sum, byte| sum.rotate_left(11) ^ u128::from(byte))
        },
        |id| id.as_u128(),
    );
    let low = u128::from(number & 0xffff_ffff) << 96;
    let middle = u128::from(kind as u16) << 80;
    Uuid::from_u128(owner ^ low ^ middle).to_string()
}

/// Something that the user has until it is taken away, at once or after a while.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: String,
    gone_at: Option<Instant>,
}

impl Held {
    pub(super) fn new(id: String) -> Self {
        Self { id, gone_at: None }
    }

    /// Whether it had been taken away.
    pub(super) fn give_back(&mut self) -> bool {
        self.gone_at.take().is_some()
    }

    pub(super) fn is_live(&self) -> bool {
        self.gone_at.is_none_or(|at| Instant::now() < at)
    }

    /// Takes it away after `delay`; whether that is new.
    pub(super) fn end(&mut self, delay: Duration) -> bool {
        let is_new = self.gone_at.is_none();
        self.gone_at.get_or_insert(Instant::now() + delay);
        is_new
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupType {
    Group,
    Team,
}

impl GroupType {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Group => "GROUP",
            Self::Team => "TEAM",
        }
    }
}

/// A group or a team that the user is in.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) held: Held,
    pub(super) kind: GroupType,
    /// A rule selects its members: nobody can leave it.
    pub(super) by_rule: bool,
}

/// A queue that the user is in, by itself or by a group.
#[derive(Debug, Clone)]
pub(super) struct QueueMember {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) joined: bool,
    /// The membership that is no group's.
    pub(super) own: Option<Held>,
    /// The group whose members are members of the queue.
    pub(super) group: Option<String>,
    /// Another group of the queue, which the user is not in.
    pub(super) foreign_group: Option<String>,
    /// The queue is in a division that the client does not see.
    pub(super) unseen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Inactive,
    Deleted,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Deleted => "deleted",
        }
    }
}

/// The current state of a user.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) record: Record,
    pub(super) is_active: bool,
    /// Missing where others deactivated it, long ago.
    pub(super) deactivated_at: Option<Instant>,
    pub(super) version: u64,
    pub(super) deleted_at: Option<Instant>,
    /// The version that lagging reads show, as of an active user, and how many of them are left.
    pub(super) lagging: Option<(u64, u32)>,
    pub(super) queues: Vec<QueueMember>,
    pub(super) groups: Vec<Group>,
    /// Groups that route nothing.
    pub(super) other_groups: Vec<Held>,
    pub(super) skills: Vec<Held>,
    pub(super) sessions: Vec<Held>,
    pub(super) timeline: Timeline,
    pub(super) conversation_bytes: usize,
}

/// The numbers of what a user has, from its record and the flags.
pub(super) struct Shape {
    pub(super) queues: usize,
    pub(super) group_queues: usize,
    pub(super) unseen_queues: usize,
    pub(super) other_groups: usize,
    pub(super) skills: usize,
    pub(super) sessions: usize,
    pub(super) conversations: u64,
    pub(super) conversation_bytes: usize,
    pub(super) epoch: Timestamp,
}

fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

/// Two queues for each group, so that one departure empties two.
fn group_of(id: &str, index: usize) -> String {
    id_of(id, Kind::Group, number(index / 2))
}

fn queues_of(id: &str, shape: &Shape) -> Vec<QueueMember> {
    let own = shape.queues + shape.unseen_queues;
    let mut queues: Vec<QueueMember> = (0..own)
        .map(|index| {
            let queue_id = id_of(id, Kind::Queue, number(index));
            QueueMember {
                name: format!("Queue {index}"),
                // Half of them show only to a client that also asks for those that are not joined.
                joined: index.is_multiple_of(2),
                own: Some(Held::new(queue_id.clone())),
                group: None,
                foreign_group: None,
                unseen: index >= shape.queues,
                id: queue_id,
            }
        })
        .collect();
    queues.extend((0..shape.group_queues).map(|index| {
        QueueMember {
            id: id_of(id, Kind::GroupQueue, number(index)),
            name: format!("Queue of a group {index}"),
            joined: !index.is_multiple_of(2),
            own: None,
            group: Some(group_of(id, index)),
            foreign_group: index
                .is_multiple_of(2)
                .then(|| id_of(id, Kind::ForeignGroup, number(index))),
            unseen: false,
        }
    }));
    queues
}

impl Person {
    pub(super) fn new(record: Record, shape: &Shape) -> Self {
        let id = record.id.to_lowercase();
        let held = |kind, count: usize| -> Vec<Held> {
            (0..count)
                .map(|index| Held::new(id_of(&id, kind, number(index))))
                .collect()
        };
        let groups = (0..shape.group_queues.div_ceil(2))
            .map(|index| Group {
                held: Held::new(id_of(&id, Kind::Group, number(index))),
                kind: if index.is_multiple_of(2) {
                    GroupType::Group
                } else {
                    GroupType::Team
                },
                by_rule: record.derived_membership,
            })
            .collect();

        Self {
            is_active: !record.inactive,
            deactivated_at: None,
            version: 7,
            deleted_at: None,
            lagging: None,
            queues: queues_of(&id, shape),
            groups,
            other_groups: held(Kind::OtherGroup, shape.other_groups),
            skills: held(Kind::Skill, shape.skills),
            sessions: held(Kind::Session, shape.sessions),
            timeline: Timeline::new(shape.conversations, shape.epoch),
            conversation_bytes: shape.conversation_bytes,
            record: Record {
                id: id.clone(),
                ..record
            },
            id,
        }
    }

    pub(super) fn state(&self) -> State {
        if self.deleted_at.is_some_and(|at| at <= Instant::now()) {
            State::Deleted
        } else if self.is_active {
            State::Active
        } else {
            State::Inactive
        }
    }

    pub(super) fn name(&self) -> String {
        format!(
            "agent-{}-{}",
            self.id.get(..8).unwrap_or_default(),
            self.id.rsplit('-').next().unwrap_or_default()
        )
    }

    pub(super) fn is_in_group(&self, id: &str) -> bool {
        self.groups
            .iter()
            .any(|group| group.held.id == id && group.held.is_live())
    }

    /// Whether a group makes the user a member of the queue.
    pub(super) fn is_member_by_group(&self, queue: &QueueMember) -> bool {
        queue
            .group
            .as_deref()
            .is_some_and(|group| self.is_in_group(group))
    }

    pub(super) fn is_member(&self, queue: &QueueMember) -> bool {
        queue.own.as_ref().is_some_and(Held::is_live) || self.is_member_by_group(queue)
    }

    pub(super) fn live_queues(&self) -> impl Iterator<Item = &QueueMember> {
        self.queues.iter().filter(|queue| self.is_member(queue))
    }

    pub(super) fn live_skills(&self) -> impl Iterator<Item = &Held> {
        self.skills.iter().filter(|skill| skill.is_live())
    }
}
