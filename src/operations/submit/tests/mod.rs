mod exports;
mod orders;
mod random;

use super::faults::Faults;
use super::*;
use crate::job::{Action, UserId};

const A: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
const B: &str = "4f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12";
const C: &str = "5f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c13";

fn open(text: impl AsRef<[u8]>, overlay: &Overlay) -> Input {
    read_as(text, &Reading::default(), overlay).unwrap()
}

fn read_as(text: impl AsRef<[u8]>, reading: &Reading, overlay: &Overlay) -> std::io::Result<Input> {
    Input::new(&[], Some(&mut text.as_ref()), reading, overlay)
}

/// The faults, if there are any.
fn judge(input: &Input, forbidden: impl Fn(UserId) -> Option<String>) -> Result<Checked, Faults> {
    let checked = input.check(forbidden, &mut |_, _| Ok(())).unwrap();
    if checked.faults.total > 0 {
        Err(checked.faults)
    } else {
        Ok(checked)
    }
}

fn check(text: impl AsRef<[u8]>) -> Result<Checked, Faults> {
    judge(&open(text, &Overlay::default()), |_| None)
}

fn messages(text: impl AsRef<[u8]>) -> Vec<Message> {
    messages_of(&open(text, &Overlay::default()))
}

fn messages_of(input: &Input) -> Vec<Message> {
    let checked = judge(input, |_| None).unwrap();
    let messages = input.messages(&checked).unwrap();
    messages.map(Result::unwrap).collect()
}

fn ids(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .map(|message| message.user_id.to_string())
        .collect()
}

/// Lines and texts of the faults.
fn faults(text: impl AsRef<[u8]>) -> Vec<(u64, String)> {
    check(text)
        .unwrap_err()
        .named
        .into_iter()
        .map(|fault| (fault.line.unwrap(), fault.what))
        .collect()
}

#[test]
fn a_list_has_one_id_a_line_with_comments_and_blank_lines() {
    let text = format!("\u{feff}# leavers\n\n{A}\n  {B}\r\n{}\n", A.to_uppercase());
    assert_eq!(ids(&messages(&text)), [A, B]);
    let checked = check(&text).unwrap();
    assert_eq!((checked.users, checked.duplicates_total), (2, 1));
    assert_eq!(checked.duplicates, [(A.parse().unwrap(), Some(5))]);
}

#[test]
fn csv_columns_that_the_schema_knows_are_kept_and_no_others() {
    let text = format!("name;userId;reason;action\nJo;{A};left;deactivate\nMo;{B};;\n");
    let messages = messages(text);
    assert_eq!(ids(&messages), [A, B]);
    assert_eq!(messages[0].request.reason.as_deref(), Some("left"));
    assert_eq!(messages[0].request.action, Action::Deactivate);
    assert_eq!(messages[1].request.action, Action::Delete);
    assert!(!String::from_utf8_lossy(&messages[0].body).contains("Jo"));
}

#[test]
fn a_header_is_found_after_blank_lines_comments_and_a_hint_and_whatever_its_case() {
    let text = format!(
        "\u{feff}\n# of November\n   \nsep=;\nReason;\"USERID\"\nleft;{A}\n\n;\nleft;{B}\n"
    );
    let messages = messages(&text);
    assert_eq!(ids(&messages), [A, B]);
    assert_eq!(messages[1].request.reason.as_deref(), Some("left"));
    assert_eq!(
        faults(text + ";x\n"),
        [(10, "\"x\" is not a user ID (a UUID)".to_owned())]
    );
}

#[test]
fn a_quoted_cell_may_hold_line_breaks_and_lines_are_counted_all_the_same() {
    let text = format!("userId,reason\r\n{A},\"left\r\n, \"\"now\"\"\"\r\n\r\nx,\r\n{B},\r\n");
    assert_eq!(
        faults(&text),
        [(5, "\"x\" is not a user ID (a UUID)".to_owned())]
    );
    let messages = messages(text.replace("x,\r\n", ""));
    assert_eq!(
        messages[0].request.reason.as_deref(),
        Some("left\r\n, \"now\"")
    );
    assert_eq!(ids(&messages), [A, B]);
}

#[test]
fn a_missing_quotation_mark_never_hides_a_user() {
    let fault = |text: String| faults(text).remove(0);
    assert_eq!(
        fault(format!("name,userId\n\"Jo,{A}\n")).1,
        "a quotation mark that is never closed"
    );
    assert_eq!(
        fault(format!("userId,name\n{A},5\" x\n{B},6\" x\n")),
        (2, "a stray quotation mark".to_owned())
    );
    let (line, what) = fault(format!("userId,name\n{A},\"Jo\n{B},Mo\"\n"));
    assert_eq!(
        (line, what.contains("a quotation mark is missing")),
        (2, true),
        "{what}"
    );
}

#[test]
fn json_lines_stay_as_they_are_written() {
    let line = format!(r#"{{"ticket": 7.10, "userId":"{A}", "big":123456789012345678901}}"#);
    assert_eq!(messages(&line)[0].body, line.as_bytes());
    let overlay = Overlay {
        reason: Some("a \"b\"".to_owned()),
        ..Overlay::default()
    };
    let input = open(&line, &overlay);
    let message = messages_of(&input).remove(0);
    assert_eq!(message.request.reason.as_deref(), Some("a \"b\""));
    assert!(
        message
            .body
            .ends_with(line.trim_start_matches('{').as_bytes())
    );
}

#[test]
fn the_command_line_sets_the_members_that_a_row_does_not_have() {
    let text = format!("userId,reason\n{A},own\n{B},\n");
    let overlay = Overlay {
        batch_id: Some("b-1".parse().unwrap()),
        reason: Some("all".to_owned()),
        ..Overlay::default()
    };
    let messages = messages_of(&open(text, &overlay));
    let reasons: Vec<_> = messages
        .iter()
        .map(|m| m.request.reason.clone().unwrap())
        .collect();
    assert_eq!(reasons, ["own", "all"]);
    assert!(
        messages
            .iter()
            .all(|m| m.request.batch_id.as_ref().unwrap().to_string() == "b-1")
    );
}

#[test]
fn every_fault_is_named_with_its_line_and_its_column() {
    let text = format!(
        "userId,action,deleteAfter\n{A},delete,\nnonsense,delete,\n{B},destroy,tomorrow\n{B}\n\n,delete,\n"
    );
    let faults = faults(text);
    assert_eq!(
        faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [3, 4, 5, 7]
    );
    assert!(
        faults[0].1.starts_with("\"nonsense\" is not a user ID"),
        "{faults:?}"
    );
    assert!(
        faults[1]
            .1
            .contains("action must be delete or deactivate; deleteAfter must be"),
        "{faults:?}"
    );
    assert!(
        faults[2].1.contains("1 cells, but the header has 3"),
        "{faults:?}"
    );
    let fault = |text: String| check(text).unwrap_err().text("nothing was sent");
    assert!(
        fault(format!("{{\"userId\":\"{A}\",\"batchId\":7}}\n"))
            .contains("line 1: batchId must be")
    );
    assert!(
        fault(format!("{{\"userId\":\"{A}\"}}\n{{\"user\":1}}"))
            .contains("line 2: it has no userId")
    );
    assert!(fault(format!("id,name\n{A},Jo\n")).contains("CSV needs a header with userId"));
    assert!(
        fault(format!("userId,reason,Reason\n{A},,\n"))
            .contains("line 1: the header has two columns reason")
    );
    assert!(fault(format!("[{{\"userId\":\"{A}\"}}]")).contains("JSON Lines"));
    assert!(fault(format!("{{\"userId\":\"{A}\",\"userId\":\"{B}\"}}\n")).contains("line 1"));
}

#[test]
fn what_is_no_text_is_a_fault_of_its_line() {
    let mut bytes = format!("{A}\n").into_bytes();
    bytes.extend_from_slice(b"\xff\xe9\n");
    bytes.extend(std::iter::repeat_n(b'x', 1_000_000));
    bytes.extend_from_slice(format!("\n{B}\nx\n").as_bytes());
    let faults = faults(bytes);
    assert_eq!(
        faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [2, 3, 5]
    );
    assert_eq!(faults[0].1, "not UTF-8");
    assert_eq!(
        (&*faults[1].1, &*faults[2].1),
        (
            "longer than 262144 bytes",
            "\"x\" is not a user ID (a UUID)"
        )
    );
}

#[test]
fn a_name_that_is_nearly_a_members_is_a_fault_and_the_others_are_listed() {
    let fault = |text: String| faults(text).remove(0);
    for (header, column, meant) in [
        ("userId,Delete After", "Delete After", "deleteAfter"),
        (
            "userId;delete_after;requested by",
            "delete_after",
            "deleteAfter",
        ),
        ("userId\t\"DELETE-AFTER\"", "DELETE-AFTER", "deleteAfter"),
    ] {
        let (line, what) = fault(format!("{header}\n{A}\n"));
        let says =
            format!("the column \"{column}\" is unknown; rename it to {meant}, or remove it");
        assert!(line == 1 && what.contains(&says), "{header}: {what}");
    }
    let (_, both) = fault(format!("userId;delete_after;requested by\n{A};;\n"));
    assert!(
        both.contains("rename it to deleteAfter") && both.contains("rename it to requestedBy"),
        "{both}"
    );
    for member in [
        "delete_after",
        "DeleteAfter",
        "deleteafter",
        "requested by",
        "UserId",
        "Action",
    ] {
        let (line, what) = fault(format!(
            "{{\"userId\":\"{A}\"}}\n{{\"userId\":\"{B}\",\"{member}\":\"x\"}}"
        ));
        assert!(
            line == 2 && what.contains(&format!("the member \"{member}\" is unknown")),
            "{what}"
        );
    }

    let checked = check(format!("name,userId,,room\u{202e},name\nJo,{A},,1,\n")).unwrap();
    assert_eq!(checked.kept, ["name", "room\\u{202e}"]);
    assert_eq!(checked.ignored, ["name"], "the second one");
    let ignored = |text: String| check(text).unwrap().ignored;
    let lines = format!(
        "{{\"userId\":\"{A}\",\"x\":1}}\n{{\"userId\":\"{B}\",\"x\":1,\"y\":{{\"action\":1}}}}\n"
    );
    assert_eq!(ignored(lines), ["x", "y"]);
    assert!(ignored(format!("{A}\n")).is_empty());
}

#[test]
fn a_file_without_rows_is_a_fault_beside_arguments_too() {
    for (text, why) in [
        ("", "it is empty"),
        ("\u{feff}", "it has only blank lines and comments"),
        ("\r\r", "it has only blank lines and comments"),
        ("# leavers\n\n", "it has only blank lines and comments"),
        ("sep=;\nuserId;room\n;\n", "it has a header and no rows"),
    ] {
        for arguments in [vec![], vec![A.to_owned()]] {
            let input = Input::new(
                &arguments,
                Some(&mut text.as_bytes()),
                &Reading::default(),
                &Overlay::default(),
            )
            .unwrap();
            let faults = judge(&input, |_| None).unwrap_err();
            assert!(
                faults
                    .text("")
                    .contains(&format!("the file has no users: {why}")),
                "{text:?}: {faults:?}"
            );
        }
    }
    let nothing = Input::new(&[], None, &Reading::default(), &Overlay::default()).unwrap();
    assert_eq!(judge(&nothing, |_| None).unwrap().users, 0);
}

#[test]
fn lines_that_end_in_cr_only_are_read_and_a_mixture_is_refused() {
    let csv = format!("userId,reason\r{A},\"left\r, now\"\r{B},\r");
    let read = messages(&csv);
    assert_eq!(ids(&read), [A, B]);
    assert_eq!(read[0].request.reason.as_deref(), Some("left\r, now"));
    assert_eq!(ids(&messages(format!("# list\r{A}\r{B}"))), [A, B]);
    assert_eq!(faults(format!("{A}\rx\r"))[0].0, 2);
    for mixed in [
        format!("# list\r{A}\n{B}\n"),
        format!("userId\r{A}\n{B}\n"),
        format!("userId,room\n{A},1\r{B},2\n{C},3\n"),
        format!("{A}\n{B}\r{C}\n"),
    ] {
        let named = faults(&mixed);
        assert!(
            named
                .iter()
                .any(|(_, what)| what.contains("a CR in the middle")),
            "{mixed:?}: {named:?}"
        );
    }
    let (_, what) = faults(format!("userId,room\n{A},\"1\r{B},2\"\n")).remove(0);
    assert!(what.contains("a quotation mark is missing"), "{what}");
}

#[test]
fn a_protected_user_is_a_fault_with_its_line_and_keeps_the_whole_input_from_being_sent() {
    let protected: UserId = B.parse().unwrap();
    let look = |text: String| {
        let input = open(text, &Overlay::default());
        judge(&input, |user_id| {
            (user_id == protected).then(|| "it is the board".to_owned())
        })
    };
    let faults = look(format!("{A}\n{B}\n{B}\n{C}\n")).unwrap_err();
    assert_eq!((faults.total, faults.only_forbidden()), (1, true));
    assert!(
        faults
            .text("")
            .contains(&format!("line 2: {B} is not off-boarded: it is the board"))
    );
    assert!(!look(format!("{B}\nx\n")).unwrap_err().only_forbidden());
    assert_eq!(look(format!("{A}\n{C}\n")).unwrap().users, 2);
}

#[test]
fn all_faults_are_counted_and_the_first_twenty_are_named() {
    let faults = check("x\n".repeat(5000)).unwrap_err();
    assert_eq!((faults.total, faults.named.len()), (5000, 20));
    let text = faults.text("nothing was sent");
    assert!(
        text.starts_with("5000 faults in the input; nothing was sent\n  line 1: "),
        "{text}"
    );
    assert!(text.contains("\n  and 4980 more; --rejects F"), "{text}");
    assert_eq!(text.lines().count(), 22);
    let one = check("x\n").unwrap_err().text("nothing was planned");
    assert!(
        one.starts_with("1 fault in the input; nothing was planned\n"),
        "{one}"
    );
}
