//! Splits a page that arrives in pieces into its rows and the rest, so that no page is held as a whole.

use serde::de::IgnoredAny;

/// Finds where the rows of a page begin and end. Of each row, `{}` stays in the rest, which is small and parsed as a whole
/// at the end: that shows whether this was a page, and whether the rows were in the list that was meant. A row that is
/// complete in one piece is parsed to find its end; of one that comes in several, only the brackets are counted.
#[derive(Debug)]
pub(crate) struct RowScanner {
    /// The name of the list, in its quotes.
    member: String,
    rest: Vec<u8>,
    /// What came of the row that is not complete yet.
    row: Vec<u8>,
    /// Where in `rest` the last name or text of the outermost object begins.
    name_begins: usize,
    depth: usize,
    text: Text,
    in_rows: bool,
    in_row: bool,
}

/// A row as it was received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) bytes: &'a [u8],
    /// It was parsed. Otherwise only its brackets match.
    pub(crate) is_json: bool,
}

/// Where in a JSON text the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

impl RowScanner {
    pub(crate) fn new(member: &str) -> Self {
        Self {
            member: format!("\"{member}\""),
            rest: Vec::new(),
            row: Vec::new(),
            name_begins: 0,
            depth: 0,
            text: Text::Outside,
            in_rows: false,
            in_row: false,
        }
    }

    /// Reads the next piece, and passes on each row that it completes.
    pub(crate) fn feed<E>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Where what was not copied yet begins.
        let mut begins = 0;
        let mut at = 0;

        while let Some(byte) = piece.get(at).copied() {
            if self.text != Text::Outside {
                at += self.skip_string(piece.get(at..).unwrap_or_default());
                continue;
            }
            match byte {
                b'"' => {
                    self.text = Text::Inside;
                    if self.depth == 1 {
                        self.keep(piece.get(begins..at).unwrap_or_default());
                        begins = at;
                        self.name_begins = self.rest.len();
                    }
                }
                b'{' | b'[' => {
                    if byte == b'{' && self.in_rows && self.depth == 2 {
                        self.keep(piece.get(begins..at).unwrap_or_default());
                        begins = at;
                        self.rest.extend_from_slice(b"{}");
                        if let Some(bytes) = whole_object(piece.get(at..).unwrap_or_default()) {
                            each(Row {
                                bytes,
                                is_json: true,
                            })?;
                            at += bytes.len();
                            begins = at;
                            continue;
                        }
                        self.in_row = true;
                    } else if byte == b'[' && self.depth == 1 {
                        self.keep(piece.get(begins..at).unwrap_or_default());
                        begins = at;
                        let name = self.rest.get(self.name_begins..).unwrap_or_default();
                        self.in_rows = name.starts_with(self.member.as_bytes());
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.in_row && self.depth == 2 {
                        self.in_row = false;
                        let end = piece.get(begins..=at).unwrap_or_default();
                        begins = at + 1;
                        self.row.extend_from_slice(end);
                        each(Row {
                            bytes: &self.row,
                            is_json: false,
                        })?;
                        self.row.clear();
                    }
                    self.in_rows &= self.depth >= 2;
                }
                _ => {}
            }
            at += 1;
        }
        self.keep(piece.get(begins..).unwrap_or_default());
        Ok(())
    }

    /// The page with `{}` for each row.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.rest
    }

    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.rest
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.in_row {
            self.row.extend_from_slice(bytes);
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }

    /// How many bytes of a text are done: to its end, or to the next escape.
    fn skip_string(&mut self, text: &[u8]) -> usize {
        if self.text == Text::Escaped {
            self.text = Text::Inside;
            return 1;
        }
        let Some(stop) = memchr::memchr2(b'"', b'\\', text) else {
            return text.len();
        };
        self.text = if text.get(stop) == Some(&b'"') {
            Text::Outside
        } else {
            Text::Escaped
        };
        stop + 1
    }
}

/// The JSON value that a piece begins with, if all of it is there.
fn whole_object(piece: &[u8]) -> Option<&[u8]> {
    let mut values = serde_json::Deserializer::from_slice(piece).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let object = piece.get(..values.byte_offset())?;
    // What is passed over is not checked for it.
    simdutf8::basic::from_utf8(object).ok().map(str::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    /// The rows and the rest of a page that arrives in pieces of this many bytes.
    fn split(page: &[u8], piece: usize) -> (Vec<String>, String) {
        let mut scanner = RowScanner::new("rows");
        let mut rows = Vec::new();
        for piece in page.chunks(piece) {
            let each = |row: Row<'_>| {
                let parsed: Result<&RawValue, _> = serde_json::from_slice(row.bytes);
                assert!(!row.is_json || parsed.is_ok(), "{row:?}");
                rows.push(String::from_utf8_lossy(row.bytes).into_owned());
                Ok::<(), ()>(())
            };
            scanner.feed(piece, each).unwrap();
        }
        let rest = String::from_utf8_lossy(scanner.rest()).into_owned();
        (rows, rest)
    }

    #[test]
    fn only_objects_of_the_list_are_rows_wherever_the_pieces_end() {
        let page = r#"{"a":["rows",{"rows":[{}]}],"rows" : [ {"x":"]}\"\\"} ,
            {"rows":[{"y":[{}]}]}, 7, []],"b":"rows","c":[{"z":1}],"d":{"rows":[{}]}}"#;
        let rest = r#"{"a":["rows",{"rows":[{}]}],"rows" : [ {} ,
            {}, 7, []],"b":"rows","c":[{"z":1}],"d":{"rows":[{}]}}"#;
        for piece in 1..=page.len() {
            let (rows, left) = split(page.as_bytes(), piece);
            assert_eq!(
                rows,
                [r#"{"x":"]}\"\\"}"#, r#"{"rows":[{"y":[{}]}]}"#],
                "pieces of {piece}"
            );
            assert_eq!(left, rest, "pieces of {piece}");
        }
    }

    #[test]
    fn a_page_that_ends_within_a_row_leaves_a_rest_that_is_no_page() {
        let (rows, rest) = split(br#"{"rows":[{"a":1},{"b":"#, 5);
        assert_eq!(rows, [r#"{"a":1}"#]);
        assert_eq!(rest, r#"{"rows":[{},{}"#);
    }

    #[test]
    fn a_row_that_is_no_utf8_is_not_called_parsed() {
        let mut rows = Vec::new();
        let page = b"{\"rows\":[{\"a\":\"\xff\"},{\"a\":\"\xc3\xa9\"}]}";
        let each = |row: Row<'_>| {
            rows.push(row.is_json);
            Ok::<(), ()>(())
        };
        RowScanner::new("rows").feed(page, each).unwrap();
        assert_eq!(rows, [false, true]);
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(page in r#"([\[\]{}",:\\a ]|"rows":\[){0,60}"#, piece in 1_usize..20) {
            prop_assert_eq!(split(page.as_bytes(), piece), split(page.as_bytes(), 1000));
        }
    }
}
