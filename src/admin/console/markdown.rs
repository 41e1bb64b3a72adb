//! Shows the runbook, which is Markdown and built in, as HTML.

use std::collections::HashMap;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// The HTML of our own Markdown. Headings have the names that links use, and no level is left out below the heading of the page. A link to another document loses its address: the console has only this one.
pub(super) fn shown(text: &str) -> String {
    let mut events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    name_headings(&mut events);
    level_headings(&mut events);
    let mut is_dropped = false;
    let kept = events.into_iter().filter_map(|event| match event {
        Event::Start(Tag::Link { ref dest_url, .. }) => {
            is_dropped = !dest_url.starts_with('#') && !dest_url.starts_with("https://");
            (!is_dropped).then_some(event)
        }
        Event::End(TagEnd::Link) => {
            let is_end_of_dropped = std::mem::take(&mut is_dropped);
            (!is_end_of_dropped).then_some(event)
        }
        // What is no Markdown is shown as it is written.
        Event::Html(raw) | Event::InlineHtml(raw) => Some(Event::Text(raw)),
        other => Some(other),
    });
    let mut shown = String::with_capacity(text.len() * 2);
    html::push_html(&mut shown, kept);
    shown
}

fn name_headings(events: &mut [Event<'_>]) {
    let mut name = String::new();
    let mut names = Vec::new();
    for event in events.iter_mut().rev() {
        match event {
            Event::End(TagEnd::Heading(_)) => name.clear(),
            Event::Text(text) | Event::Code(text) => name.insert_str(0, text),
            Event::Start(Tag::Heading { id, .. }) => names.push((slug(&name), id)),
            _ => {}
        }
    }

    // The second one of a name is `name-1`.
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (name, id) in names.into_iter().rev() {
        let before = seen.entry(name.clone()).or_default();
        *id = Some(CowStr::from(match *before {
            0 => name,
            number => format!("{name}-{number}"),
        }));
        *before += 1;
    }
}

fn level_headings(events: &mut [Event<'_>]) {
    let mut open: Vec<HeadingLevel> = Vec::new();
    let mut shown = HeadingLevel::H2;
    for event in events {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open.retain(|above| above < level);
                open.push(*level);
                shown = HeadingLevel::try_from(open.len() + 1).unwrap_or(HeadingLevel::H6);
                *level = shown;
            }
            Event::End(TagEnd::Heading(level)) => *level = shown,
            _ => {}
        }
    }
}

/// As code hosts name headings.
fn slug(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || matches!(c, '_' | '-') => Some(c),
        _ => None,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;
    use crate::operations::runbook;

    #[test]
    fn headings_can_be_linked_to_and_links_to_other_documents_are_words() {
        let text = "# Who, if `x`\n\n[a](#b) and [c](d.md#e), <b>f</b>";
        assert_eq!(
            shown(text),
            "<h2 id=\"who-if-x\">Who, if <code>x</code></h2>\n<p><a href=\"#b\">a</a> and c, &lt;b&gt;f&lt;/b&gt;</p>\n"
        );
    }

    #[test]
    fn no_level_of_headings_is_left_out() {
        let levels: Vec<String> = shown("# a\n#### b\n#### c\n## d\n### e")
            .split("<h")
            .skip(1)
            .map(|heading| heading.chars().take(1).collect())
            .collect();
        assert_eq!(levels, ["2", "3", "3", "3", "4"]);
    }

    #[test]
    fn every_code_and_every_link_of_the_runbook_leads_to_a_heading() {
        let shown = shown(runbook::text());
        for code in Code::ALL {
            assert!(shown.contains(&format!("id=\"{code}\"")), "{code}");
        }
        for link in shown.split("href=\"#").skip(1) {
            let name = link.split('"').next().unwrap();
            assert!(shown.contains(&format!("id=\"{name}\"")), "{name}");
        }
        assert!(!shown.contains(".md\""));
    }
}
