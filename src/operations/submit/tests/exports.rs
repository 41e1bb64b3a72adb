//! Files as HR exports them.

use super::*;

fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

fn reading(encoding: Option<&str>, id_column: Option<&str>) -> Reading {
    Reading {
        encoding: encoding.map(|name| name.parse().unwrap()),
        id_column: id_column.map(str::to_owned),
    }
}

#[test]
fn the_column_of_the_ids_has_the_name_that_an_export_gives_it() {
    for header in [
        "User ID,name",
        "userid,name",
        "USER_ID,name",
        "\"User-Id\",name",
        "\u{feff}user id ,name",
        "UserId;name",
        "User ID",
    ] {
        let delimiter = if header.contains(';') { ';' } else { ',' };
        let row = if header == "User ID" {
            A.to_owned()
        } else {
            format!("{A}{delimiter}Jo")
        };
        assert_eq!(
            ids(&messages(format!("{header}\n{row}\n"))),
            [A],
            "{header}"
        );
    }
    let two = faults(format!("User ID,userId\n{A},{A}\n"));
    assert!(two[0].1.contains("two columns userId"), "{two:?}");
}

#[test]
fn an_id_may_have_braces_blanks_and_no_hyphens() {
    let bare = A.replace('-', "");
    for id in [
        format!("{{{A}}}"),
        format!("  {{{}}} ", A.to_uppercase()),
        bare.clone(),
        format!("{{ {bare} }}"),
        format!("\u{a0}{A}\u{200b}"),
    ] {
        for text in [format!("userId,name\n{id},Jo\n"), format!("{id}\n")] {
            let message = messages(&text).remove(0);
            assert_eq!(message.user_id.to_string(), A, "{text}");
            let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
            assert_eq!(body["userId"], A, "{text}");
        }
    }
    let odd = [
        format!("{{{A}"),
        format!("{A}}}"),
        format!("{{{{{A}}}}}"),
        format!("urn:uuid:{A}"),
        bare[1..].to_owned(),
        format!("{A} {B}"),
    ];
    for id in odd {
        assert!(check(format!("userId,name\n{id},Jo\n")).is_err(), "{id}");
    }
}

#[test]
fn utf_16_with_a_mark_is_read_and_without_one_its_encoding_is_asked_for() {
    let text = format!("User ID\tname\r\n{A}\tJosé\r\n{B}\tΜαρία\r\n");
    let marked = format!("\u{feff}{text}");
    for bytes in [
        utf_16(&marked, u16::to_le_bytes),
        utf_16(&marked, u16::to_be_bytes),
    ] {
        let read = messages(&bytes);
        assert_eq!(ids(&read), [A, B]);
        assert_eq!(read[1].columns.get("name"), Some("Μαρία"));
    }

    let unmarked = utf_16(&text, u16::to_le_bytes);
    let asked = read_as(&unmarked, &Reading::default(), &Overlay::default());
    let asked = asked.err().unwrap().to_string();
    assert!(asked.contains("--encoding utf-16le"), "{asked}");
    let input = read_as(
        &unmarked,
        &reading(Some("utf-16le"), None),
        &Overlay::default(),
    );
    assert_eq!(ids(&messages_of(&input.unwrap())), [A, B]);

    let mut broken = utf_16(&marked, u16::to_le_bytes);
    broken.extend([0x00, 0xd8, 0x41, 0x00]);
    let error = read_as(&broken, &Reading::default(), &Overlay::default());
    let error = error.err().unwrap().to_string();
    assert!(error.contains("it is not UTF-16LE: byte"), "{error}");
}

#[test]
fn windows_1252_is_read_if_the_operator_says_so_and_else_the_fault_says_how() {
    let mut bytes = b"userId;name\n".to_vec();
    for (id, name) in [(A, &b"J\xf6rg"[..]), (B, b"Zo\xeb"), (C, b"Ann")] {
        bytes.extend([id.as_bytes(), b";", name, b"\n"].concat());
    }
    let faults = check(&bytes).unwrap_err();
    assert_eq!(faults.total, 2);
    let text = faults.text("nothing was sent");
    assert_eq!(text.matches("--encoding windows-1252").count(), 1, "{text}");

    let input = read_as(
        &bytes,
        &reading(Some("windows-1252"), None),
        &Overlay::default(),
    );
    let read = messages_of(&input.unwrap());
    assert_eq!(ids(&read), [A, B, C]);
    assert_eq!(read[0].columns.get("name"), Some("Jörg"));
    assert!("windows-9999".parse::<Encoding>().is_err());

    // A long file is decoded in pieces.
    let long = format!("{A};{}\n", "ö".repeat(300)).repeat(500);
    let mut bytes = b"userId;name\n".to_vec();
    bytes.extend(long.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
    let input = read_as(&bytes, &reading(Some("latin1"), None), &Overlay::default());
    let checked = judge(&input.unwrap(), |_| None).unwrap();
    assert_eq!((checked.users, checked.duplicates_total), (1, 499));
}

#[test]
fn a_header_without_an_id_column_is_one_fault_that_lists_the_columns() {
    let rows = format!("{A};Jo;Sales\n").repeat(500);
    let faults = faults(format!("Employee;Name;Department\n{rows}"));
    assert_eq!(faults.len(), 1);
    let (line, what) = &faults[0];
    assert_eq!(*line, 1);
    let says = "its columns are \"Employee\", \"Name\", \"Department\"; name the column of the IDs with --id-column, \
                e.g. --id-column \"Employee\"";
    assert!(what.contains(says), "{what}");

    let (_, what) = &super::faults(&rows)[0];
    assert!(
        what.contains("among its 3 cells; add a line above it"),
        "{what}"
    );
}

#[test]
fn the_operator_names_the_column_of_the_ids() {
    let text = format!("Employee ID;userId;Name\n{A};77;Jo\n");
    let open =
        |column: &str| read_as(&text, &reading(None, Some(column)), &Overlay::default()).unwrap();
    for column in ["Employee ID", "employee_id"] {
        let read = messages_of(&open(column));
        assert_eq!(ids(&read), [A]);
        assert_eq!(read[0].columns.get("userId"), Some("77"));
    }
    let faults = judge(&open("Staff"), |_| None).unwrap_err();
    let text = faults.text("nothing was sent");
    assert_eq!(faults.total, 1);
    assert!(
        text.contains(
            "no column is named \"Staff\" (--id-column); its columns are \"Employee ID\""
        ),
        "{text}"
    );

    let json = format!("{{\"userId\":\"{A}\"}}\n");
    let input = read_as(json, &reading(None, Some("id")), &Overlay::default()).unwrap();
    let text = judge(&input, |_| None).unwrap_err().text("");
    assert!(text.contains("--id-column is for CSV"), "{text}");
}

#[test]
fn other_columns_are_no_part_of_the_message_and_are_kept_for_the_report() {
    let header: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let cells = vec!["x"; 20].join(",");
    let text = format!(
        "userId,{}\n{A},{cells}\n{B}{}\n",
        header.join(","),
        ",".repeat(20)
    );
    let checked = check(&text).unwrap();
    assert_eq!((checked.kept.len(), checked.ignored.len()), (16, 4));
    let read = messages(&text);
    assert_eq!(read[0].columns.names().count(), 16);
    assert!(read[1].columns.is_empty(), "empty cells are not kept");
    assert!(!String::from_utf8_lossy(&read[0].body).contains("\"c1\""));
}

#[test]
fn a_column_wins_over_an_option_and_that_is_said() {
    let overlay = Overlay {
        reason: Some("Q4".to_owned()),
        requested_by: Some("hr".to_owned()),
        requested_at: Some(jiff::Timestamp::UNIX_EPOCH),
        ..Overlay::default()
    };
    let contradicted = |text: String| judge(&open(text, &overlay), |_| None).unwrap().contradicted;
    let csv = format!("userId,Reason,requestedAt\n{A},left,2026-01-01T00:00:00Z\n{B},,\n");
    assert_eq!(contradicted(csv), ["reason"]);
    let json = format!("{{\"userId\":\"{A}\",\"requestedBy\":\"it\"}}\n");
    assert_eq!(contradicted(json), ["requestedBy"]);
    assert!(contradicted(format!("userId,name\n{A},Jo\n")).is_empty());
}

#[test]
fn a_fault_that_may_hide_other_rows_is_one_of_the_whole_file() {
    let of_file = |text: String| check(text).unwrap_err().of_file;
    for text in [
        format!("name,userId\n\"Jo,{A}\n{B},\n"),
        format!("userId,name\n{A},\"Jo\n{B},Mo\"\n"),
        format!("userId,name\n{A},5\" x\n{B},6\" x\n"),
        format!("userId,name\n{A},\"x\n{B}\",,\n"),
        format!("{A}\n{B}\r{C}\n"),
        format!("userId,Delete After\n{A},\n"),
        format!("name,department\nJo,{A}\n"),
        "userId\n".to_owned(),
    ] {
        assert!(of_file(text.clone()) > 0, "{text}");
    }
    for text in [
        format!("{A}\nx\n"),
        format!("userId,action\n{A},destroy\n"),
        format!("userId,name\n{A}\n"),
    ] {
        assert_eq!(of_file(text.clone()), 0, "{text}");
    }
}

#[test]
fn what_is_left_out_of_a_file_is_given_with_its_line_and_text() {
    let protected: UserId = B.parse().unwrap();
    let text =
        format!("userId,action\n{A},delete\nnobody,delete\n{B},\n\"{C}\",destroy\n{C},\n{B},\n");
    let input = open(text, &Overlay::default());
    let mut rejects = Vec::new();
    let forbidden = |user_id: UserId| (user_id == protected).then(|| "it is the board".to_owned());
    let checked = input
        .check(forbidden, &mut |fault, text| {
            rejects.push((fault.line.unwrap(), text.to_owned(), fault.what.clone()));
            Ok(())
        })
        .unwrap();
    let lines: Vec<_> = rejects
        .iter()
        .map(|(line, text, _)| (*line, &**text))
        .collect();
    assert_eq!(
        lines,
        [
            (3, "nobody,delete"),
            (4, &*format!("{B},")),
            (5, &*format!("\"{C}\",destroy"))
        ]
    );
    assert_eq!((checked.users, checked.duplicates_total), (2, 1));
    let sent: Vec<_> = input
        .messages(&checked)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ids(&sent), [A, C], "never the protected user");
}
