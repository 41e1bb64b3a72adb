//! Every table of the commands at 80 and 140 columns, with rows as they occur, and what holds at any width.

use unicode_width::UnicodeWidthStr as _;

use super::super::screen::Screen;
use super::super::table::{Column, Grid};

const USER: &str = "04a99e63-5a51-4b4b-8f6c-1f9a4f9b7c11";
const OTHER: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
const ID: &str = "9f86d081884c7d65";
const REASON: &str = "retries_exhausted";
const ERROR: &str = "DELETE /users/{id}: CXone answered 503 [cxone_server_error]";

fn grid<'a, const N: usize>(columns: [Column<'a>; N], rows: &[[&str; N]]) -> Grid<'a> {
    Grid {
        columns: columns.to_vec(),
        rows: rows
            .iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect(),
    }
}

type Table = (&'static str, Grid<'static>);

/// Each table with rows as they occur, with the columns that the commands give it.
fn tables(screen: &Screen) -> Vec<Table> {
    let at = screen.time("2026-11-28T11:48:00.813402361Z".parse().unwrap());
    let long_ago = screen.time("2026-11-20T09:00:00Z".parse().unwrap());
    let [at, long_ago] = [at.as_str(), long_ago.as_str()];
    [
        of_lists(at, long_ago),
        of_dead_letters(at),
        of_users(at),
        of_batches(at),
        of_checks(),
    ]
    .concat()
}

/// Holds, batches, the audit log.
fn of_lists(at: &str, long_ago: &str) -> Vec<Table> {
    vec![
        (
            "hold list",
            grid(
                super::HOLDS,
                &[
                    [
                        USER,
                        long_ago,
                        "ada@ops-1",
                        "case 4711, until the court decides",
                    ],
                    [
                        OTHER,
                        at,
                        "the admin API of worker-7800 (loopback, no token)",
                        "",
                    ],
                ],
            ),
        ),
        (
            "batch list",
            grid(
                super::BATCHES,
                &[
                    ["2026-11", "498", at, "70", "10", "418", "424"],
                    [
                        "2026-10-leavers-of-emea",
                        "12",
                        long_ago,
                        "12",
                        "0",
                        "0",
                        "0",
                    ],
                ],
            ),
        ),
        (
            "audit-log list",
            grid(
                super::AUDIT_LOG,
                &[[
                    at,
                    "ada@ops-1",
                    "replay",
                    "47",
                    "CXone is back",
                    "cleared 0\nerror null",
                ]],
            ),
        ),
    ]
}

/// What `dead-letters` prints.
fn of_dead_letters(at: &str) -> Vec<Table> {
    vec![
        (
            "dead-letters list",
            grid(
                super::DEAD_LETTERS,
                &[
                    [
                        ID,
                        at,
                        USER,
                        "Archived",
                        "gone",
                        REASON,
                        "delete",
                        "2d1f5436374b",
                        "8, replays 1",
                        ERROR,
                    ],
                    [
                        "2c26b46b68ffc68f",
                        at,
                        "none",
                        "",
                        "unknown",
                        "malformed_message",
                        "",
                        "77c5e1bb2c18",
                        "1, replays 0",
                        "userId: is missing",
                    ],
                ],
            ),
        ),
        (
            "dead-letters replay",
            grid(
                super::REPLAYED,
                &[
                    ["moved", ID, USER, REASON, ""],
                    [
                        "skipped",
                        "2c26b46b68ffc68f",
                        "none",
                        "malformed_message",
                        "its body cannot be read",
                    ],
                ],
            ),
        ),
        (
            "dead-letters discard",
            grid(
                super::DISCARDED,
                &[[
                    ID,
                    USER,
                    REASON,
                    "s3://audit/deprovisioning/_dead_9f86d081884c7d65.json",
                ]],
            ),
        ),
    ]
}

/// What is printed about users.
fn of_users(at: &str) -> Vec<Table> {
    vec![
        (
            "status",
            grid(
                super::STATUS,
                &[
                    [
                        USER,
                        "QueuesCleared",
                        "still there, for 2 min 11 s",
                        "2",
                        "waits until 2026-11-28T12:00:00Z: over the tenant's quota (429)",
                    ],
                    [OTHER, "Deleted", "gone after 2.3 s", "0", "done: deleted"],
                ],
            ),
        ),
        (
            "status of one user",
            grid(
                super::STEPS,
                &[
                    ["QueuesCleared", at, "1 s", "1"],
                    ["Deactivated", at, "under 1 s", "2"],
                ],
            ),
        ),
        (
            "plan",
            grid(
                super::PLAN,
                &[[
                    USER,
                    "active, Deactivated",
                    "delete",
                    "12",
                    "at least 10000",
                    "until 2026-12-01T00:00:00Z",
                ]],
            ),
        ),
        (
            "run",
            grid(
                super::RUN,
                &[
                    [USER, "failed", "Deactivated", ERROR],
                    [OTHER, "finished", "Deleted", ""],
                ],
            ),
        ),
    ]
}

/// What is printed about many users, and about the workers.
fn of_batches(at: &str) -> Vec<Table> {
    vec![
        (
            "users list",
            grid(
                super::USERS,
                &[
                    [
                        USER,
                        "QueuesCleared",
                        "yes, for 2 min 11 s",
                        at,
                        "waits for the tenant's quota, due 83 s ago",
                        "2026-10-leavers-of-emea",
                    ],
                    [OTHER, "", "yes, for 12 min 3 s", at, "not begun", "2026-11"],
                ],
            ),
        ),
        (
            "workers",
            grid(
                super::WORKERS,
                &[
                    [
                        "offboarder-6c9f7d5b8-x2x7q/7",
                        "0.1.0",
                        "3 h 5 min ago",
                        "3 of 16",
                        "3 of 12",
                        "0 of 4",
                        "yes",
                    ],
                    [
                        "offboarder-6c9f7d5b8-p9k4d/7",
                        "0.1.0",
                        "12 min 3 s ago",
                        "0 of 16",
                        "unknown",
                        "unknown",
                        "no: CXone answers 503 [cxone_server_error] (since 2026-11-28T11:46:42Z)",
                    ],
                ],
            ),
        ),
        (
            "batch show",
            grid(
                super::BATCH,
                &[
                    ["finished", "70 (14.1 %)", "63 deleted, 7 refused"],
                    ["dead letters", "10 (2.0 %)", "10 retries_exhausted"],
                    [
                        "waiting",
                        "37 (7.4 %)",
                        "37 the quota, until 2026-11-28T12:01:00Z at the earliest",
                    ],
                    ["not begun", "381 (76.5 %)", ""],
                ],
            ),
        ),
    ]
}

/// What checks and the demo print.
fn of_checks() -> Vec<Table> {
    vec![
        (
            "verify",
            grid(
                super::VERIFY,
                &[
                    [USER, "ok", "Deleted, 1 manifest, 2.3 MiB of archives"],
                    [OTHER, "NOT OK", ERROR],
                ],
            ),
        ),
        (
            "doctor",
            grid(
                super::DOCTOR,
                &[
                    ["settings", "ok", "valid", ""],
                    [
                        "archive lock",
                        "WARNING",
                        "OFFBOARDER_ARCHIVE_RETENTION is off: anyone who can delete objects can remove archives",
                        "use a bucket with Object Lock, and set OFFBOARDER_ARCHIVE_RETENTION",
                    ],
                    [
                        "CXone credentials",
                        "NOT OK",
                        "no token endpoint at https://api.example/api/v2/oauth/token (404, text/html): set OFFBOARDER_CXONE_TOKEN_URI",
                        "docs/operations/runbook.md, `cxone_foreign_answer`",
                    ],
                ],
            ),
        ),
        (
            "doctor --show-settings",
            grid(
                super::SETTINGS,
                &[[
                    "OFFBOARDER_QUEUE_URL",
                    "amqps://offboarder:***@mq:5671/%2f",
                    "environment",
                ]],
            ),
        ),
        (
            "demo",
            grid(
                super::DEMO,
                &[[
                    USER,
                    "archive in progress",
                    "DeactivatedOnly",
                    "refused (409)",
                    "411 conversations",
                    "18 + 9",
                ]],
            ),
        ),
    ]
}

fn at_width(width: usize) -> String {
    let screen = Screen::sample(Some(width));
    let shown = tables(&screen)
        .into_iter()
        .map(|(name, grid)| format!("# {name}\n{}\n", grid.lay_out(&screen)));
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_table_at_80_columns() {
    insta::assert_snapshot!(at_width(80));
}

#[test]
fn every_table_at_140_columns() {
    insta::assert_snapshot!(at_width(140));
}

#[test]
fn no_word_is_broken_no_line_is_too_long_and_none_ends_in_blanks() {
    for width in [20, 40, 60, 80, 100, 140, 200] {
        let screen = Screen::sample(Some(width));
        for (name, grid) in tables(&screen) {
            let rank_0: Vec<usize> = (0..grid.columns.len())
                .filter(|at| grid.columns[*at].rank == 0)
                .collect();
            let words: Vec<String> = grid
                .rows
                .iter()
                .flat_map(|row| rank_0.iter().map(|at| &row[*at]))
                .flat_map(|cell| cell.split_whitespace().map(str::to_owned))
                .collect();
            let text = grid.lay_out(&screen);
            for word in &words {
                assert!(
                    text.contains(word.as_str()),
                    "{word} in {name} at {width}:\n{text}"
                );
            }
            for line in text.lines() {
                assert_eq!(line, line.trim_end(), "{name} at {width}");
                let breaks = line.split_whitespace().count() > 2;
                assert!(
                    !breaks || line.width() <= width,
                    "{name} at {width}: {line}"
                );
            }
        }
    }
}
