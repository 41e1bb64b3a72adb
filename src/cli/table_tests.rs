//! What holds for any table.

use super::*;

fn grid<const N: usize>(columns: [Column<'static>; N], rows: &[[&str; N]]) -> Grid<'static> {
    Grid {
        columns: columns.to_vec(),
        rows: rows
            .iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect(),
    }
}

#[test]
fn a_file_gets_every_column_and_row_and_no_colour_and_a_terminal_fifty_rows() {
    let rows = vec![["a", "ok"]; 498];
    let of = |screen: &Screen| grid([keep("user"), extra("", 1)], &rows).lay_out(screen);

    let file = of(&Screen::sample(None));
    assert_eq!(file.lines().count(), 500);
    assert!(!file.contains('\x1b'));
    let terminal = of(&Screen::sample(Some(80)));
    assert_eq!(terminal.lines().count(), 53);
    assert!(terminal.ends_with("... and 448 more (--output json has all)"));
}

#[test]
fn a_table_without_rows_says_so() {
    let rows: [[&str; 1]; 0] = [];
    assert_eq!(
        grid([keep("user")], &rows).lay_out(&Screen::sample(None)),
        "none"
    );
}

#[test]
fn only_a_screen_with_colours_gets_them() {
    let screen = Screen {
        colour: true,
        ..Screen::sample(Some(80))
    };
    let rows = [["a", "NOT OK"], ["b", "other"]];
    let text = grid([keep("user"), keep("")], &rows).lay_out(&screen);
    assert!(text.contains("\x1b[31mNOT OK\x1b[0m"), "{text:?}");
    assert!(text.contains("b     other"), "{text:?}");
}

#[test]
fn rows_are_printed_one_by_one_at_widths_that_are_set_before() {
    let longest = ["04a99e63-5a51-4b4b-8f6c-1f9a4f9b7c11", "queues", "on hold"];
    let columns = [keep("user"), extra("queues", 1), keep("guard")];
    let of = |width: Option<usize>, rows: usize| {
        let mut rolling = Rolling::new(&columns, &longest, Screen::sample(width));
        let mut lines = rolling.head();
        for _ in 0..rows {
            let cells = [longest[0], "3", "protected by a pattern of a list"];
            lines.extend(rolling.row(cells.map(str::to_owned).to_vec()));
        }
        lines.extend(rolling.foot());
        lines
    };

    let file = of(None, 60);
    assert_eq!(file.len(), 62);
    assert!(file[2].ends_with("  3       protected by a pattern of a list"));
    let terminal = of(Some(80), 60);
    assert_eq!(
        terminal.last().unwrap(),
        "... and 10 more (--output json has all)"
    );
    let narrow = of(Some(50), 1);
    assert_eq!(narrow[0], "user                                  guard");
    assert_eq!(
        narrow.last().unwrap(),
        "a wider terminal also shows: queues"
    );
    let stacked = of(Some(40), 1);
    assert_eq!(stacked[2], "queues: 3");
    for (width, lines) in [(80, terminal), (50, narrow), (40, stacked)] {
        assert!(lines.iter().all(|line| line.width() <= width), "{lines:#?}");
    }
}

#[test]
fn a_text_breaks_between_words_only_and_keeps_its_indent_and_its_blanks() {
    let id = "04a99e63-5a51-4b4b-8f6c-1f9a4f9b7c11";
    let text = format!("  example   DELETE /users/{id}: CXone answered 503\n\nshort");
    assert_eq!(
        wrap(&text, 40),
        [
            "  example   DELETE".to_owned(),
            format!("  /users/{id}:"),
            "  CXone answered 503".to_owned(),
            String::new(),
            "short".to_owned(),
        ]
    );
}
