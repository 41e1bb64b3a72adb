//! A replay in progress: stage by stage, and message by message.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::assess::is_left_over;
use super::canary::{CANARY_STAGES, GroupStages, Watched, watch};
use super::items::Items;
use super::outcome::{Sent, checkpoint_of, known_outcomes};
use super::replay_headers::{headers, key};
use super::report::{ReplayReport, Skipped};
use super::scan::SetScan;
use super::{DeadLetter, DeadLetterId};
use crate::failure::Failure;
use crate::operations::tracker::{Interruption, Tracker};
use crate::ports::operations::{Became, ItemResult, StopRequest};
use crate::ports::queue::{Broker, Delivery, Publisher};
use crate::ports::{Checkpoints, GroupReplay};
use crate::queue::names::JOBS_EXCHANGE;
use crate::queue::{replayed, without_dead_letter};

/// A replay of the dead letters of an operation.
#[derive(Clone, Copy)]
pub(crate) struct Replaying<'a> {
    pub broker: &'a dyn Broker,
    /// For notes, and for the progress of a canary.
    pub checkpoints: &'a dyn Checkpoints,
    /// When the operation was made: the same for a process that continues it.
    pub begun_at: Timestamp,
    /// Replays of each group first 1, then 10, then the rest; each stage waits at most this long until the dead letters
    /// of the stage before have passed the step that failed. A group whose fault comes back stops alone. `None` without
    /// a canary.
    pub canary: Option<Duration>,
}

impl Replaying<'_> {
    /// Replays the dead letters of a set, and no others. What was done to them before is in the report, too.
    pub(crate) async fn run(
        self,
        set: &[DeadLetter],
        skipped: Vec<Skipped>,
        tracker: &Tracker,
    ) -> (ReplayReport, Result<Option<Interruption>, Failure>) {
        let publisher = self.broker.publisher(1);
        let items = Items::open(set, tracker);
        let mut run = Run {
            replaying: self,
            publisher: &*publisher,
            tracker,
            items,
            groups: HashMap::new(),
            sent: Vec::new(),
            report: ReplayReport {
                skipped,
                ..ReplayReport::default()
            },
        };
        run.take_up(set);
        let ran = run.stages(set).await;
        let ended = run.end(set, ran).await;
        publisher.close().await;
        ended
    }
}

/// A replay in progress.
struct Run<'a> {
    replaying: Replaying<'a>,
    publisher: &'a dyn Publisher,
    tracker: &'a Tracker,
    items: Items<'a>,
    /// The note of each group, by fingerprint.
    groups: HashMap<String, GroupReplay>,
    sent: Vec<Sent>,
    report: ReplayReport,
}

/// How many users of each group the note of its replay names.
const FOLLOWED: usize = 20;
const GONE: &str =
    "it is not in the queue any more; an earlier part of this operation may have moved it";
const NO_EVIDENCE: &str = "none of those left names a user, so nothing would show whether the fault came back; replay them without --canary";

impl Run<'_> {
    /// What an earlier process did to them.
    fn take_up(&mut self, set: &[DeadLetter]) {
        for (number, dead_letter) in (0..).zip(set) {
            let Some(result) = self.tracker.result(number) else {
                continue;
            };
            match result.became {
                Became::Moved => {
                    self.report.moved.push(dead_letter.clone());
                    let earlier = Sent {
                        dead_letter: dead_letter.clone(),
                        followed: serde_json::from_value(result.detail).ok(),
                    };
                    self.count(&earlier);
                    self.sent.push(earlier);
                }
                Became::Cleared => self.report.cleared.push(dead_letter.clone()),
                _left => self.report.skipped.push(Skipped {
                    dead_letter: dead_letter.clone(),
                    why: result.why.unwrap_or_default(),
                }),
            }
        }
    }

    /// The report says what was done, also after a failure.
    async fn end(
        mut self,
        set: &[DeadLetter],
        ran: Result<Option<Interruption>, Failure>,
    ) -> (ReplayReport, Result<Option<Interruption>, Failure>) {
        if let Ok(Some(Interruption::Draining | Interruption::LeaseLost)) = ran {
            return (self.report, ran);
        }
        if let Ok(Some(Interruption::Stopped(order))) = &ran {
            self.leave_the_rest(set, order);
        }
        let noted = self.note_groups().await;
        let followed = known_outcomes(&self.sent, self.replaying.checkpoints).await;
        (
            self.report.by_group(&followed),
            ran.and_then(|ended| noted.map(|()| ended)),
        )
    }

    /// Only in the report: a note of each would be a round trip of each.
    fn leave_the_rest(&mut self, set: &[DeadLetter], order: &StopRequest) {
        let why = format!("{} stopped the operation", order.who);
        self.report.stop_all(&why);
        for dead_letter in set {
            if self.result_of(dead_letter).is_none() {
                self.skip(dead_letter, &why);
            }
        }
    }

    fn skip(&mut self, dead_letter: &DeadLetter, why: &str) {
        self.report.skipped.push(Skipped {
            dead_letter: dead_letter.clone(),
            why: why.to_owned(),
        });
    }

    fn result_of(&self, dead_letter: &DeadLetter) -> Option<ItemResult> {
        self.tracker.result(self.items.number(dead_letter))
    }

    async fn leave(&mut self, dead_letter: &DeadLetter, why: &str) -> Result<(), Failure> {
        self.skip(dead_letter, why);
        let item = self.items.item(dead_letter);
        let why = Some(why.to_owned());
        self.tracker
            .note(item, Became::Skipped, why, Value::Null)
            .await
    }

    async fn stages(&mut self, set: &[DeadLetter]) -> Result<Option<Interruption>, Failure> {
        let Some(patience) = self.replaying.canary else {
            return self.stage(set).await;
        };

        let mut groups = GroupStages::of(set);
        for size in CANARY_STAGES {
            let stage: Vec<DeadLetter> = groups
                .iter_mut()
                .flat_map(|group| group.stage(size))
                .collect();
            let mut of_stage = HashSet::new();
            if let Some(interruption) = self.proven(stage, &mut groups, &mut of_stage).await? {
                return Ok(Some(interruption));
            }
            if groups.is_empty() {
                break;
            }

            let has_rest = |sent: &&Sent| {
                let fault = &sent.dead_letter.fingerprint;
                of_stage.contains(&sent.dead_letter.id)
                    && groups.iter().any(|group| group.fingerprint == *fault)
            };
            let watched = self.sent.iter().filter(has_rest).collect();
            let checkpoints = self.replaying.checkpoints;
            let stopped = match watch(checkpoints, watched, patience, self.tracker).await? {
                Watched::Judged(stopped) => stopped,
                Watched::Interrupted(interruption) => return Ok(Some(interruption)),
            };
            for group in groups.extract_if(.., |group| stopped.contains_key(&group.fingerprint)) {
                let why = stopped.get(&group.fingerprint).cloned();
                self.stop(group, &why.unwrap_or_default()).await?;
            }
        }
        Ok(None)
    }

    /// Sends a stage, and then one more of each group of which nobody was sent whose checkpoint shows what became of it:
    /// without evidence, a group is not taken further. Groups without a rest are done.
    async fn proven(
        &mut self,
        mut stage: Vec<DeadLetter>,
        groups: &mut Vec<GroupStages>,
        of_stage: &mut HashSet<DeadLetterId>,
    ) -> Result<Option<Interruption>, Failure> {
        while !stage.is_empty() {
            if let Some(interruption) = self.stage(&stage).await? {
                return Ok(Some(interruption));
            }
            of_stage.extend(stage.drain(..).map(|one| one.id));
            groups.retain(|group| !group.rest.is_empty());
            let shows = |group: &GroupStages, sent: &Sent| {
                sent.followed.is_some()
                    && sent.dead_letter.fingerprint == group.fingerprint
                    && of_stage.contains(&sent.dead_letter.id)
            };
            let unproven =
                groups.extract_if(.., |group| !self.sent.iter().any(|sent| shows(group, sent)));
            let unproven: Vec<GroupStages> = unproven.collect();
            for mut group in unproven {
                if let Some(one) = group.next_with_user() {
                    stage.push(one);
                    groups.push(group);
                } else {
                    self.stop(group, NO_EVIDENCE).await?;
                }
            }
        }
        Ok(None)
    }

    /// Leaves the rest of a group in the queue.
    async fn stop(&mut self, group: GroupStages, why: &str) -> Result<(), Failure> {
        self.report.stop(&group.fingerprint, why);
        for dead_letter in &group.rest {
            if self.result_of(dead_letter).is_none() {
                self.leave(dead_letter, why).await?;
            }
        }
        Ok(())
    }

    async fn stage(&mut self, stage: &[DeadLetter]) -> Result<Option<Interruption>, Failure> {
        let open: Vec<DeadLetter> = stage
            .iter()
            .filter(|dead_letter| self.result_of(dead_letter).is_none())
            .cloned()
            .collect();
        let mut scan = SetScan::new(self.replaying.broker, &open);
        let mut interruption = self.tracker.interruption();
        while interruption.is_none() {
            let Some((dead_letter, delivery)) = scan.next().await? else {
                break;
            };
            interruption = self.tracker.turn().await;
            if interruption.is_some() {
                break;
            }
            match self.one(&dead_letter, &delivery).await? {
                Some(one) => self.moved(one).await?,
                None => self.cleared(dead_letter).await?,
            }
        }

        let missed = scan.close().await?;
        if interruption.is_some() {
            return Ok(interruption);
        }
        for dead_letter in open.iter().filter(|one| missed.contains(&one.id)) {
            self.missed(dead_letter).await?;
        }
        Ok(None)
    }

    async fn moved(&mut self, sent: Sent) -> Result<(), Failure> {
        let item = self.items.item(&sent.dead_letter);
        let detail = json!(sent.followed);
        let noting = self.tracker.note(item, Became::Moved, None, detail);
        noting.await?;
        self.report.moved.push(sent.dead_letter.clone());
        self.count_in_group(&sent).await?;
        self.sent.push(sent);
        Ok(())
    }

    async fn cleared(&mut self, dead_letter: DeadLetter) -> Result<(), Failure> {
        let item = self.items.item(&dead_letter);
        let noting = self.tracker.note(item, Became::Cleared, None, Value::Null);
        noting.await?;
        self.report.cleared.push(dead_letter);
        Ok(())
    }

    /// The process that took it off may have died before it could note that: the note of the replay remains.
    async fn missed(&mut self, dead_letter: &DeadLetter) -> Result<(), Failure> {
        let checkpoints = self.replaying.checkpoints;
        let note = checkpoints.replay_note(dead_letter.id.as_str()).await?;
        let Some(note) = note.filter(|note| note.published) else {
            return self.leave(dead_letter, GONE).await;
        };
        let sent = Sent::of_note(dead_letter, &note);
        let item = self.items.item(dead_letter);
        let noting = self
            .tracker
            .note(item, Became::Moved, None, json!(sent.followed));
        noting.await?;
        self.report.moved.push(dead_letter.clone());
        self.sent.push(sent);
        Ok(())
    }

    /// Counts a published message, and notes whom to read to find out what became of it.
    async fn count_in_group(&mut self, sent: &Sent) -> Result<(), Failure> {
        let fingerprint = &sent.dead_letter.fingerprint;
        let is_followed = self.count(sent);
        if let Some(group) = self.groups.get(fingerprint).filter(|_| is_followed) {
            let checkpoints = self.replaying.checkpoints;
            checkpoints.note_group_replay(fingerprint, group).await?;
        }
        Ok(())
    }

    /// Whether the note of the group names one user more.
    fn count(&mut self, sent: &Sent) -> bool {
        let at = self.replaying.begun_at;
        let group = self.groups.entry(sent.dead_letter.fingerprint.clone());
        let group = group.or_insert_with(|| GroupReplay {
            at,
            count: 0,
            followed: Vec::new(),
        });
        group.count += 1;
        if group.followed.len() < FOLLOWED
            && let Some(followed) = &sent.followed
        {
            group.followed.push(followed.clone());
            return true;
        }
        false
    }

    /// Notes how many messages of each group were published, where that is more than was noted with the last user.
    async fn note_groups(&self) -> Result<(), Failure> {
        let more = |group: &GroupReplay| group.count > group.followed.len() as u64;
        for (fingerprint, group) in self.groups.iter().filter(|(_, group)| more(group)) {
            let checkpoints = self.replaying.checkpoints;
            checkpoints.note_group_replay(fingerprint, group).await?;
        }
        Ok(())
    }

    /// Publishes the message, then takes the dead letter off. `None` if an earlier replay had published it.
    async fn one(
        &self,
        dead_letter: &DeadLetter,
        delivery: &Delivery,
    ) -> Result<Option<Sent>, Failure> {
        let checkpoints = self.replaying.checkpoints;
        if let Some(user_id) = dead_letter.user_id {
            crate::failpoint::arm(&user_id.to_string());
        }
        if is_left_over(checkpoints, dead_letter).await? {
            delivery.acknowledge().await?;
            return Ok(None);
        }

        let checkpoint = checkpoint_of(checkpoints, dead_letter).await?;
        let sent = Sent::new(dead_letter, checkpoint.as_ref());
        checkpoints
            .note_replay(dead_letter.id.as_str(), &sent.note(false))
            .await?;

        let mut added = headers(dead_letter, checkpoint.as_ref(), self.replaying.begun_at);
        let envelope = &delivery.envelope;
        added.extend(replayed(&envelope.properties));
        let properties = without_dead_letter(&envelope.properties, added);
        self.publisher
            .publish(JOBS_EXCHANGE, key(envelope), envelope.body(), &properties)
            .await?;

        checkpoints
            .note_replay(dead_letter.id.as_str(), &sent.note(true))
            .await?;
        delivery.acknowledge().await?;
        Ok(Some(sent))
    }
}
