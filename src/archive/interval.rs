//! Which dates an archive has to cover, and whether the progress in a checkpoint is that of such an archive. A checkpoint
//! may be forged: one with two dates a millisecond apart would delete a user with an empty archive.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::hash_state::hashed_bytes;
use super::windows::{after_window, window_of};
use crate::machine::{Archive, ArchiveInProgress, Crossing, Cursor, UploadInProgress};

/// How far the clocks of two workers may differ.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);
const MAX_PARTS: usize = 10_000;

/// By more than clocks differ. This subtracts instead of adding, because dates in a forged checkpoint may be at the end
/// of the range of times.
pub(crate) fn is_before(one: Timestamp, other: Timestamp) -> bool {
    other.duration_since(one) > CLOCKS
}

/// The beginning of a history of this length that ends at `date_to`.
pub(crate) fn begin_of(date_to: Timestamp, history: Duration) -> Timestamp {
    let reach = SignedDuration::try_from(history).unwrap_or(SignedDuration::MAX);
    date_to.checked_sub(reach).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether the archive covers `history` before its end, and everything up to when access was seen to be gone. `Err` says
/// what is missing, or that the archive ends in the future.
pub(crate) fn interval_is_as_asked(
    archive: &Archive,
    access_at: Timestamp,
    history: Duration,
    now: Timestamp,
) -> Result<(), String> {
    let Archive {
        date_from, date_to, ..
    } = archive;
    let asked = begin_of(*date_to, history);
    if *date_from > asked {
        return Err(format!(
            "the archive begins at {date_from}, and OFFBOARDER_CXONE_HISTORY asks for everything since {asked}"
        ));
    }

    let covered = archive.covers_until();
    if is_before(covered, access_at) {
        return Err(format!(
            "the archive ends at {covered}, and the user had access until {access_at}"
        ));
    }
    if is_before(now, covered) {
        return Err(format!(
            "the archive ends at {covered}, which is in the future"
        ));
    }
    Ok(())
}

/// Whether the progress in a checkpoint is that of the archive which the settings ask for now, so that it may be
/// continued.
pub(crate) fn may_continue(
    progress: &ArchiveInProgress,
    access_at: Timestamp,
    history: Duration,
    window_days: Option<u32>,
    now: Timestamp,
) -> bool {
    let ArchiveInProgress {
        date_from, date_to, ..
    } = progress;
    *date_from == begin_of(*date_to, history)
        && !is_before(*date_to, access_at)
        && !is_before(now, *date_to)
        && progress.upload.as_ref().is_none_or(|upload| {
            progress.window_days == window_days
                && parts_fit(upload)
                && cursor_fits(upload, progress)
        })
}

/// Whether the parts are those of one object, and their bytes are as many as the hash has seen.
fn parts_fit(upload: &UploadInProgress) -> bool {
    let numbered = upload
        .parts
        .iter()
        .zip(1_u32..)
        .all(|(part, number)| part.number == number && part.bytes > 0);

    let total = upload
        .parts
        .iter()
        .try_fold(0_u64, |sum, part| sum.checked_add(part.bytes));

    numbered
        && upload.parts.len() <= MAX_PARTS
        && total.is_some()
        && total == hashed_bytes(&upload.sha256_midstate)
}

/// Whether the cursor is in a window of the history; at its beginning if nothing is stored yet.
fn cursor_fits(upload: &UploadInProgress, progress: &ArchiveInProgress) -> bool {
    let begin = Cursor::Window {
        from: progress.date_from,
    };
    if upload.parts.is_empty() {
        return upload.cursor == begin
            && upload.crossing == Crossing::default()
            && (upload.conversations, upload.pages) == (0, 0);
    }

    let Some(from) = window_of(&upload.cursor) else {
        return true;
    };
    // Windows after the first begin at midnight, at the end of the window before.
    from == progress.date_from
        || progress.window_days.is_some_and(|days| {
            (progress.date_from..progress.date_to).contains(&from)
                && begins_a_window(from, days, progress)
        })
}

fn begins_a_window(from: Timestamp, days: u32, progress: &ArchiveInProgress) -> bool {
    let Cursor::Window { from: second } = after_window(progress.date_from, progress) else {
        return false;
    };
    let since = from.as_second() - second.as_second();
    from.subsec_nanosecond() == 0 && since >= 0 && since % (i64::from(days) * 86_400) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::samples::empty_archive;
    use crate::ports::{Part, UploadId};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::digest::common::hazmat::SerializableState as _;
    use sha2::{Digest as _, Sha256};

    const DAY: i64 = 86_400;
    const HISTORY: Duration = Duration::from_hours(24 * 365);
    const ACCESS: i64 = 1_700_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn archive(from: i64, to: i64, quiet_until: Option<i64>) -> Archive {
        Archive {
            date_to: at(to),
            quiet_until: quiet_until.map(at),
            ..empty_archive(at(from))
        }
    }

    #[test]
    fn an_archive_covers_the_history_up_to_when_access_was_gone() {
        let check = |archive: &Archive| {
            interval_is_as_asked(archive, at(ACCESS), HISTORY, at(ACCESS + 3600))
        };
        let year = 365 * DAY;
        for (from, to, quiet) in [
            (ACCESS - year, ACCESS, None),
            // The setting was larger when it began.
            (ACCESS - 2 * year, ACCESS, None),
            (ACCESS + 30 - year, ACCESS + 30, None),
            // The clock of the worker that archived is behind.
            (ACCESS - 50 - year, ACCESS - 50, None),
            // The run that made it lost its checkpoint, and no conversation came since.
            (ACCESS - DAY - year, ACCESS - DAY, Some(ACCESS)),
        ] {
            assert_eq!(check(&archive(from, to, quiet)), Ok(()), "{from} {to}");
        }
        for (from, to, quiet, says) in [
            (ACCESS - 1, ACCESS, None, "begins at"),
            (ACCESS - year + 1, ACCESS, None, "OFFBOARDER_CXONE_HISTORY"),
            (ACCESS - DAY - year, ACCESS - DAY, None, "had access until"),
            (
                ACCESS - DAY - year,
                ACCESS - DAY,
                Some(ACCESS - 100),
                "had access until",
            ),
            (ACCESS + 3700 - year, ACCESS + 3700, None, "future"),
            (ACCESS - year, ACCESS, Some(ACCESS + 3700), "future"),
        ] {
            let fault = check(&archive(from, to, quiet)).unwrap_err();
            assert!(fault.contains(says), "{fault}");
        }
    }

    fn midstate(bytes: usize) -> String {
        STANDARD.encode(Sha256::new().chain_update(vec![b'x'; bytes]).serialize())
    }

    fn under_way() -> ArchiveInProgress {
        let part = |number| Part {
            number,
            bytes: 10,
            etag: "e".to_owned(),
            crc32c: "c".to_owned(),
        };
        let date_from = at(ACCESS - 365 * DAY);
        let date_to = at(ACCESS);
        ArchiveInProgress {
            date_from,
            date_to,
            window_days: None,
            upload: Some(UploadInProgress {
                id: UploadId("u".to_owned()),
                parts: vec![part(1), part(2)],
                cursor: Cursor::Page {
                    from: date_from,
                    link: "/x".to_owned(),
                },
                crossing: Crossing::default(),
                conversations: 3,
                pages: 2,
                sha256_midstate: midstate(20),
            }),
        }
    }

    fn continues(progress: &ArchiveInProgress, window_days: Option<u32>) -> bool {
        may_continue(
            progress,
            at(ACCESS),
            HISTORY,
            window_days,
            at(ACCESS + 3600),
        )
    }

    #[test]
    fn progress_continues_only_if_it_is_of_the_archive_that_is_asked_for() {
        assert!(continues(&under_way(), None));
        let short = ArchiveInProgress {
            date_from: at(ACCESS - 1),
            ..under_way()
        };
        let early = ArchiveInProgress {
            date_from: at(ACCESS - 366 * DAY),
            date_to: at(ACCESS - DAY),
            ..under_way()
        };
        let late = ArchiveInProgress {
            date_from: at(ACCESS + DAY - 365 * DAY),
            date_to: at(ACCESS + DAY),
            ..under_way()
        };
        for progress in [short, early, late] {
            assert!(!continues(&progress, None), "{progress:?}");
            assert!(!continues(
                &ArchiveInProgress {
                    upload: None,
                    ..progress
                },
                None
            ));
        }
        assert!(!continues(&under_way(), Some(31)), "the windows changed");
        let unbegun = ArchiveInProgress {
            upload: None,
            ..under_way()
        };
        assert!(continues(&unbegun, Some(31)), "nothing was asked for yet");
    }

    #[test]
    fn dates_at_the_end_of_the_range_are_checked_too() {
        for (from, to) in [
            (Timestamp::MIN, Timestamp::MAX),
            (Timestamp::MAX, Timestamp::MIN),
        ] {
            let progress = ArchiveInProgress {
                date_from: from,
                date_to: to,
                ..under_way()
            };
            assert!(!continues(&progress, None));
            let archive = Archive {
                date_from: from,
                date_to: to,
                ..archive(0, 0, None)
            };
            assert!(interval_is_as_asked(&archive, at(ACCESS), HISTORY, at(ACCESS)).is_err());
        }
    }

    #[test]
    fn parts_and_cursor_that_do_not_fit_are_not_continued() {
        let with = |change: &dyn Fn(&mut UploadInProgress)| {
            let mut progress = under_way();
            change(progress.upload.as_mut().unwrap());
            continues(&progress, None)
        };
        assert!(!with(&|upload| upload.sha256_midstate = midstate(19)));
        assert!(!with(&|upload| upload.sha256_midstate = "?".to_owned()));
        assert!(!with(&|upload| upload.parts.swap(0, 1)));
        assert!(!with(&|upload| upload.parts[1].bytes = u64::MAX));
        assert!(!with(&|upload| upload.cursor = Cursor::Window {
            from: at(ACCESS - 1)
        }));
        assert!(with(&|upload| upload.cursor = Cursor::End));
        let unstored = |upload: &mut UploadInProgress| {
            upload.parts.clear();
            upload.conversations = 0;
            upload.pages = 0;
            upload.sha256_midstate = midstate(0);
        };
        assert!(with(&|upload| {
            unstored(upload);
            upload.cursor = Cursor::Window {
                from: at(ACCESS - 365 * DAY),
            };
        }));
        assert!(!with(&unstored), "a page would be left out");
        assert!(!with(&|upload| {
            unstored(upload);
            upload.cursor = Cursor::End;
        }));
    }

    #[test]
    fn with_windows_a_cursor_is_in_one_of_them() {
        let mut progress = ArchiveInProgress {
            window_days: Some(31),
            ..under_way()
        };
        let mut cursor = Cursor::Window {
            from: progress.date_from,
        };
        while let Some(from) = window_of(&cursor) {
            progress.upload.as_mut().unwrap().cursor = cursor;
            assert!(continues(&progress, Some(31)), "{from}");
            let second = at(from.as_second() + 1);
            progress.upload.as_mut().unwrap().cursor = Cursor::Page {
                from: second,
                link: String::new(),
            };
            assert!(!continues(&progress, Some(31)), "{second}");
            cursor = after_window(from, &progress);
        }
    }
}
