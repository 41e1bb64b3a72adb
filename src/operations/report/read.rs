//! Reads the store in parts, by the first digit of the user IDs, so that only one part of the names is in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::discarded::{Copies, copies};
use super::row::{Checked, Outcome, Row};
use super::wanted::Wanted;
use crate::failure::{Class, Failure};
use crate::guards::Hold;
use crate::job::{OrderName, Request, UserId};
use crate::machine::Cancelled;
use crate::manifest;
use crate::operations::verify::{Brief, Holdings, Verdict, Verifier, owned};
use crate::registers::{
    Erasures, HoldRecords, Order, OrderedUsers, StopOrders, StopRegister, all_orders, erasures,
    hold_of,
};

/// The first digits of user IDs.
pub(crate) const PARTS: &str = "0123456789abcdef";
/// The number of users who are read at the same time.
const AT_ONCE: usize = 32;
/// The number of tries for a read before a fault of the store ends the report.
const TRIES: u32 = 3;

/// Names of a download that are no regular files, by user: they must not be opened.
pub(crate) type Strangers = BTreeMap<UserId, Vec<String>>;

/// Reads the rows of the report.
pub(crate) struct Reporter {
    verifier: Arc<Verifier>,
    wanted: Wanted,
    strangers: Strangers,
    holds: HoldRecords,
    discarded: Copies,
    orders: Arc<StopOrders>,
    ordered: OrderedUsers,
    erasures: Erasures,
    /// Orders of `submit` that do not count, and why.
    pub odd_orders: Vec<String>,
    /// Why it is not known who was cancelled, if so.
    pub orders_in_doubt: Option<String>,
    /// The time of the report.
    now: Timestamp,
    /// Why delete markers are not known, if so.
    pub markers: Option<Failure>,
}

/// Why the report ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error(transparent)]
    Store(#[from] Failure),
    /// A row could not be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// The objects of a user, as a listing shows them.
#[derive(Default)]
struct Objects {
    holdings: Holdings,
    /// When the first of them was stored.
    stored_at: Option<Timestamp>,
    hidden: Vec<String>,
}

impl Reporter {
    /// Reads the names of hold records, the orders to stop, and the copies of dead letters.
    pub(crate) async fn open(
        verifier: Verifier,
        wanted: Wanted,
        strangers: Strangers,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let store = Arc::clone(&verifier.store);
        // The rows are worth reading without the orders, and the report says that they are not known.
        let (orders, orders_in_doubt) = match StopRegister::default().fresh(&*store).await {
            Ok(orders) => {
                let doubt = orders.doubt().map(str::to_owned);
                (orders, doubt)
            }
            Err(failure) => (Arc::default(), Some(failure.to_string())),
        };
        let ordered = all_orders(&*store).await?;
        Ok(Self {
            ordered: ordered.0,
            odd_orders: ordered.1,
            verifier: Arc::new(verifier),
            wanted,
            strangers,
            holds: HoldRecords::list(&*store).await?,
            discarded: copies(&*store).await?,
            orders,
            erasures: erasures(&*store, None).await?,
            orders_in_doubt,
            now,
            markers: None,
        })
    }

    /// The number of copies of dead letters that may belong into the report, and that name no user or cannot be read.
    pub(crate) fn nameless_copies(&self) -> usize {
        self.discarded.nameless_since(self.wanted.since)
    }

    /// Calls `found` with each row of a part, in the order of the user IDs.
    pub(crate) async fn part(
        &mut self,
        digit: char,
        mut found: impl FnMut(&Row) -> io::Result<()>,
    ) -> Result<(), Stopped> {
        let objects = self.list(digit).await?;
        let this = &*self;
        let mut rows = stream::iter(objects)
            .map(|(user_id, objects)| this.try_rows(user_id, objects))
            .buffered(AT_ONCE);
        while let Some(rows) = rows.next().await {
            for row in rows? {
                found(&row)?;
            }
        }
        Ok(())
    }

    async fn list(&mut self, digit: char) -> Result<BTreeMap<UserId, Objects>, Failure> {
        let store = &self.verifier.store;
        let prefix = digit.to_string();
        let mut objects: BTreeMap<UserId, Objects> = BTreeMap::new();
        for listed in store.list(&prefix).await? {
            if let Some((user_id, kind, revision)) = owned(&listed.key) {
                let objects = objects.entry(user_id).or_default();
                objects.holdings.note(kind, revision);
                let first = objects
                    .stored_at
                    .map_or(listed.modified, |at| at.min(listed.modified));
                objects.stored_at = Some(first);
            }
        }
        match store.hidden(&prefix).await {
            Ok(hidden) => {
                for key in hidden {
                    if let Some((user_id, _, _)) = owned(&key) {
                        let name = store.full_key(&key);
                        objects.entry(user_id).or_default().hidden.push(name);
                    }
                }
            }
            Err(failure) => self.markers = Some(failure),
        }

        let others = self.discarded.by_user.keys().chain(self.strangers.keys());
        let others = others.copied().chain(self.orders.users());
        let others = others.chain(self.ordered.keys().copied());
        let others = others.chain(self.erasures.keys().copied());
        for user_id in others.filter(|user_id| user_id.to_string().starts_with(digit)) {
            objects.entry(user_id).or_default();
        }
        Ok(objects)
    }

    async fn try_rows(&self, user_id: UserId, objects: Objects) -> Result<Vec<Row>, Failure> {
        let mut tries = 1;
        loop {
            match self.rows(user_id, &objects).await {
                Err(failure) if tries < TRIES && failure.class != Class::Defect => {
                    tracing::debug!(%user_id, %failure, "the user is read again");
                    tokio::time::sleep(Duration::from_secs(1) * tries).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn rows(&self, user_id: UserId, objects: &Objects) -> Result<Vec<Row>, Failure> {
        let mut rows = match self.strangers.get(&user_id) {
            Some(names) => vec![unopened(user_id, names)],
            None => self.of_objects(user_id, objects).await?,
        };
        rows.extend(self.open_order(user_id, &rows));
        rows.retain(|row| self.wanted.has(row));

        if !rows.is_empty() && self.holds.names(user_id) {
            let hold: Option<Hold> = hold_of(&*self.verifier.store, user_id).await?;
            for row in &mut rows {
                row.hold = hold.clone().map(Into::into);
            }
        }
        Ok(rows)
    }

    async fn of_objects(&self, user_id: UserId, objects: &Objects) -> Result<Vec<Row>, Failure> {
        let target = self.wanted.target;
        let Brief {
            verdict,
            ended,
            unfinished,
            unreadable,
        } = self.verifier.brief(user_id, &objects.holdings).await?;
        let mut rows: Vec<Row> = Vec::new();
        let of_manifests = ended.values();
        rows.extend(of_manifests.filter_map(|set| Row::of_manifests(set, target)));
        for (set, seal) in &unfinished {
            let mut row = match seal {
                Some(seal) => Row::of_seal(user_id, seal, target),
                None => self.of_archive(user_id, *set, objects),
            };
            let request = seal.as_ref().map(|seal| &seal.request);
            if row.is_unfinished()
                && let Some(cancelled) = self.cancelled(user_id, request, objects)
            {
                row.cancel(cancelled);
            }
            rows.push(row);
        }
        for reference in unreadable {
            rows.push(Row {
                manifest: Some(reference.key),
                manifest_sha256: Some(reference.sha256),
                checked: Checked::NotOk,
                asked_before: self.stored_at(objects),
                ..Row::unknown(user_id, Outcome::Unreadable)
            });
        }
        let last = self.discarded.of(user_id).last();
        for row in rows.iter_mut().filter(|row| row.is_unfinished()) {
            row.why_not_deleted = last.map(ToString::to_string);
        }
        if rows.is_empty() {
            rows = self.of_nothing(user_id, objects);
        }

        let hidden = objects.hidden.iter();
        let hidden = hidden.map(|name| format!("{name}: it was deleted (a delete marker)"));
        let findings: Vec<String> = findings(&verdict).chain(hidden).collect();
        for row in rows.iter_mut().filter(|_| !findings.is_empty()) {
            row.checked = Checked::NotOk;
            row.findings.extend(findings.iter().cloned());
        }
        Ok(rows)
    }

    /// The first order of the user that no row answers.
    fn open_order(&self, user_id: UserId, rows: &[Row]) -> Option<Row> {
        let mut orders = self.ordered.get(&user_id)?.iter();
        let is_open = |order: &&(OrderName, Arc<Order>)| {
            let mut rows = rows.iter();
            !rows.any(|row| row.answers(&order.0, &order.1))
        };
        let order = &*orders.find(is_open)?.1;
        let mut row = Row::of_order(user_id, order);
        let request = Request {
            batch_id: order.batch_id.clone(),
            requested_at: Some(order.at),
            ..Request::default()
        };
        if let Some(cancelled) = self.covered(user_id, &request) {
            row.cancel(cancelled);
        }
        Some(row)
    }

    /// What is known of a user without an object: each discarded dead letter, and whether an order names the user.
    fn of_nothing(&self, user_id: UserId, objects: &Objects) -> Vec<Row> {
        if !objects.hidden.is_empty() {
            return vec![Row::unknown(user_id, Outcome::Hidden)];
        }
        let copies = self.discarded.of(user_id);
        let mut rows: Vec<Row> = Vec::new();
        for copy in copies {
            let row = Row::of_discarded(user_id, copy);
            // The later copy says more of the same request.
            rows.retain(|other| row.asked_at.is_none() || other.asked_at != row.asked_at);
            rows.push(row);
        }
        if let Some((_record, erasure)) = self.erasures.get(&user_id).and_then(|all| all.last()) {
            rows.push(Row::of_erased(user_id, erasure));
        }
        let mut requests = copies.iter().filter_map(|copy| copy.request.as_ref());
        let is_shown = requests.any(|request| self.covered(user_id, request).is_some());
        if let Some(order) = self.orders.last_order_of(user_id)
            && !is_shown
        {
            rows.push(Row::of_cancelled(user_id, order));
        }

        if rows.is_empty() && !self.ordered.contains_key(&user_id) {
            rows.push(Row::unknown(user_id, Outcome::Hidden));
        }
        rows
    }

    fn covered(&self, user_id: UserId, request: &Request) -> Option<Cancelled> {
        self.orders.cancelled(user_id, request, self.now)
    }

    /// The cancellation of what left these objects. Without a seal the request is not known: only an order that names the
    /// user counts then, and only if nothing shows that the objects are of a later request.
    fn cancelled(
        &self,
        user_id: UserId,
        request: Option<&Request>,
        objects: &Objects,
    ) -> Option<Cancelled> {
        if let Some(request) = request {
            return self.covered(user_id, request);
        }
        let stored_at = self.stored_at(objects);
        let order = self.orders.last_order_of(user_id)?;
        stored_at.is_none_or(|at| at <= order.at).then_some(order)
    }

    /// An archive with neither seal nor manifest, or with a seal that cannot be read.
    fn of_archive(&self, user_id: UserId, set: u32, objects: &Objects) -> Row {
        let store = &self.verifier.store;
        let kinds = objects.holdings.kinds(set);
        let is_sealed = kinds.contains(&manifest::Kind::Sealed);
        let outcome = if is_sealed {
            Outcome::Unreadable
        } else {
            Outcome::Archived
        };
        let mut row = Row::unknown(user_id, outcome);
        if kinds.contains(&manifest::Kind::Archive) {
            row.archive = Some(store.full_key(&manifest::archive_key(user_id, set)));
        }
        if is_sealed {
            let key = store.full_key(&manifest::sealed_key(user_id, set));
            row.findings = vec![format!("{key}: it cannot be read as a seal")];
            row.checked = Checked::NotOk;
        }
        row.asked_before = self.stored_at(objects);
        row.seen_at = row.asked_before;
        row
    }

    /// Who copied or touched the files of a download decides about their times.
    fn stored_at(&self, objects: &Objects) -> Option<Timestamp> {
        objects.stored_at.filter(|_| !self.verifier.downloaded)
    }
}

fn unopened(user_id: UserId, names: &[String]) -> Row {
    let verdict = Verdict::unopened(user_id, names);
    Row {
        checked: Checked::NotOk,
        findings: findings(&verdict).collect(),
        ..Row::unknown(user_id, Outcome::Unreadable)
    }
}

fn findings(verdict: &Verdict) -> impl Iterator<Item = String> {
    let texts = verdict.findings.iter();
    texts.map(|finding| format!("{}: {}", finding.object, finding.text))
}
