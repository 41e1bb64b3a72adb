//! The three forms of one report.

use std::io::{Cursor, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use super::page::{End, Head, Page};
use super::{csv, html, json};
use crate::operations::report::Totals;
use crate::operations::report::samples::{after, population, rows, wanted};

/// What a page writes, for the test that reads it.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn written(page: impl FnOnce(Out) -> Box<dyn Page>, stopped_by: Option<&str>) -> String {
    let place = tempfile::tempdir().unwrap();
    population(place.path()).await;
    let rows = rows(place.path(), wanted()).await;
    let head = Head {
        location: "s3://evidence/prod/".to_owned(),
        made_at: after(48 * 60),
        wanted: wanted(),
    };
    let mut totals = Totals::default();

    let out = Out::default();
    let mut page = page(out.clone());
    page.begin(&head).unwrap();
    for row in &rows {
        totals.add(row);
        page.row(row).unwrap();
    }
    let end = End {
        totals: &totals,
        checked: vec!["each manifest"],
        not_checked: vec!["the bytes of archives".to_owned()],
        stopped_by: stopped_by.map(str::to_owned),
    };
    page.end(&head, &end).unwrap();
    drop(page);
    let bytes = out.0.lock().get_ref().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_report_as_csv() {
    let text = written(|out| Box::new(csv::Csv::new(out)), None).await;
    assert!(!text.contains(",=") && !text.contains('\u{202e}'), "{text}");
    insta::assert_snapshot!(text);
}

#[tokio::test(start_paused = true)]
async fn the_report_as_json() {
    let text = written(|out| Box::new(json::Json::new(out)), Some("no answer")).await;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["users"].as_array().unwrap().len(), 7);
    assert_eq!(document["totals"]["asked"], 7);
    assert_eq!(document["stoppedBy"], "no answer");
    insta::assert_snapshot!(text);
}

#[tokio::test(start_paused = true)]
async fn the_report_as_a_page() {
    let page = |out| Box::new(html::Html::new(out).unwrap()) as Box<dyn Page>;
    let text = written(page, Some("<no answer>")).await;
    assert!(!text.contains("<b>") && !text.contains("<script") && !text.contains("<no answer"));
    assert!(!text.contains("http"), "the page needs nothing else");
    insta::assert_snapshot!(text);
}

#[test]
fn totals_of_a_report_that_was_cut_short_begin_with_that() {
    let totals = Totals::default();
    let end = |stopped_by: Option<&str>| End {
        totals: &totals,
        checked: Vec::new(),
        not_checked: Vec::new(),
        stopped_by: stopped_by.map(str::to_owned),
    };
    let cut = super::aside(&end(Some("no answer")));
    assert!(
        cut.starts_with("rows are missing: no answer\n0 asked for"),
        "{cut}"
    );
    assert!(super::aside(&end(None)).starts_with("0 asked for"));
}
