use proptest::prelude::*;

use super::*;

const STARTS: [&str; 7] = [
    "",
    "\0",
    "userId\n",
    "userId,reason\n",
    "\u{feff}reason;userId\r\n",
    "userId\taction\r",
    "{\"userId\":\"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11\"}\n",
];
const PIECES: [&str; 16] = [
    "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11",
    "{\"userId\":\"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12\"}",
    "userId",
    "delete",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "\"",
    "#",
    " ",
    "{",
    "}",
    "ß",
];

/// The start of a file in each form that is read, with anything behind it.
fn nearly_a_file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let pieces = prop::collection::vec(piece, 0..40);
    (prop::sample::select(&STARTS[..]), pieces)
        .prop_map(|(start, pieces)| [start.as_bytes().to_vec(), pieces.concat()].concat())
}

proptest! {
    /// Each user of a CSV file is sent once, in order, with the cells of its row, whatever the columns, the quoting and
    /// the line ends.
    #[test]
    fn each_user_of_a_csv_file_is_sent_once(
        rows in prop::collection::vec((any::<u8>(), "[ -~éß\n]{0,12}", "[ -~]{0,8}"), 1..20),
        delimiter in prop::sample::select(vec![b',', b';', b'\t']),
        crlf in any::<bool>(),
        place in 0..3_usize,
    ) {
        let id = |number: u8| format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11");
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter)
            .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .from_writer(Vec::new());
        let in_order = |user: String, reason: String, other: String| {
            let mut cells = vec![reason, other];
            cells.insert(place, user);
            cells
        };
        writer.write_record(in_order("userId".to_owned(), "reason".to_owned(), "name".to_owned())).unwrap();
        let mut expected: Vec<(String, Option<String>)> = Vec::new();
        for (number, reason, other) in &rows {
            writer.write_record(in_order(id(*number), reason.clone(), other.clone())).unwrap();
            let reason = reason.trim();
            if !expected.iter().any(|(known, _)| *known == id(*number)) {
                expected.push((id(*number), (!reason.is_empty()).then(|| reason.to_owned())));
            }
        }
        let messages = messages(writer.into_inner().unwrap());
        let sent: Vec<_> =
            messages.into_iter().map(|message| (message.user_id.to_string(), message.request.reason)).collect();
        prop_assert_eq!(sent, expected);
    }

    /// No input makes the reader panic: it is read, or refused as a whole for its encoding. Each message that is accepted
    /// can be parsed by a worker. The second read yields the users that the first one counted.
    #[test]
    fn no_input_makes_the_reader_panic(bytes in nearly_a_file()) {
        let input = match read_as(&bytes, &Reading::default(), &Overlay::default()) {
            Ok(input) => input,
            Err(fault) => {
                prop_assert!(bytes.iter().take(2).any(|byte| *byte == 0), "{fault}");
                prop_assert!(fault.to_string().contains("give --encoding utf-16"), "{fault}");
                return Ok(());
            },
        };
        let checked = input.check(|_| None, &mut |_, _| Ok(())).unwrap();
        let mut users = 0;
        for message in input.messages(&checked).unwrap() {
            let message = message.unwrap();
            crate::job::parse_message(&message.body, jiff::Timestamp::UNIX_EPOCH).unwrap();
            users += 1;
        }
        prop_assert_eq!(users, checked.users);
    }
}
