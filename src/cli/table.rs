//! Lays out a table for a screen. No word is ever broken, since IDs and paths are copied: at a narrow width, texts wrap
//! between words, then columns that say less are left out, then each row becomes lines of `name: value`.

use unicode_width::UnicodeWidthStr as _;

use super::screen::Screen;

/// More rows scroll away what was asked for.
const MOST_ROWS: usize = 50;
/// A text that would need more lines than this in its column is read more easily as a line of its own.
const MOST_LINES: usize = 6;
/// A text is not squeezed into less.
const LEAST_TEXT: usize = 16;
const GAP: &str = "  ";

/// A column with its title.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'a> {
    title: &'a str,
    /// Columns with a higher rank are left out first; 0 is never left out.
    pub(super) rank: u8,
}

impl<'a> From<&'a str> for Column<'a> {
    fn from(title: &'a str) -> Self {
        Self { title, rank: 0 }
    }
}

/// A column that may be left out on a narrow terminal; the highest rank goes first.
pub(super) const fn extra(title: &str, rank: u8) -> Column<'_> {
    Column { title, rank }
}

/// A column that is always there.
pub(super) const fn keep(title: &str) -> Column<'_> {
    Column { title, rank: 0 }
}

/// A table whose cells are safe to print already.
#[derive(Clone)]
pub(super) struct Grid<'a> {
    pub(super) columns: Vec<Column<'a>>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Grid<'_> {
    /// The text, without a line break at its end; `none` for a table without rows.
    pub(super) fn lay_out(mut self, screen: &Screen) -> String {
        if self.rows.is_empty() {
            return "none".to_owned();
        }
        let hidden = match screen.width {
            Some(_) => self.rows.len().saturating_sub(MOST_ROWS),
            None => 0,
        };
        self.rows.truncate(self.rows.len() - hidden);

        let mut lines = self.fitted(screen);
        lines.extend(more(hidden));
        lines.join("\n")
    }

    fn fitted(&self, screen: &Screen) -> Vec<String> {
        let Some(fit) = self.fit(screen.width) else {
            return self.stacked(screen);
        };
        let mut lines = self.head(&fit, screen);
        let rows = self.rows.iter().flat_map(|cells| fit.row(cells, screen));
        lines.extend(rows);
        lines.extend(self.note(&fit, screen));
        lines
    }

    /// The columns that fit, or `None` if rows have to be stacked.
    fn fit(&self, width: Option<usize>) -> Option<Fit> {
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        loop {
            if let Some(widths) = self.widths(&kept, width) {
                return Some(Fit { kept, widths });
            }
            let rank = |at: &usize| self.columns.get(*at).map_or(0, |column| column.rank);
            let at = kept.iter().copied().max_by_key(rank)?;
            if rank(&at) == 0 {
                return None;
            }
            kept.retain(|kept| *kept != at);
        }
    }

    /// Which columns were left out.
    fn note(&self, fit: &Fit, screen: &Screen) -> Vec<String> {
        let left_out: Vec<&str> = (0..self.columns.len())
            .filter(|at| !fit.kept.contains(at))
            .filter_map(|at| self.title(at))
            .collect();
        if left_out.is_empty() {
            return Vec::new();
        }
        let note = format!("a wider terminal also shows: {}", left_out.join(", "));
        wrap(&note, screen.width.unwrap_or(usize::MAX))
    }

    fn title(&self, at: usize) -> Option<&str> {
        self.columns.get(at).map(|column| column.title)
    }

    fn cells(&self, at: usize) -> impl Iterator<Item = &str> {
        self.title(at).into_iter().chain(
            self.rows
                .iter()
                .filter_map(move |row| row.get(at).map(String::as_str)),
        )
    }

    /// The width of each of these columns, or `None` if they do not fit.
    fn widths(&self, kept: &[usize], width: Option<usize>) -> Option<Vec<usize>> {
        let natural = |at: &usize| self.cells(*at).flat_map(str::lines).map(str::width).max();
        let mut widths: Vec<usize> = kept.iter().map(|at| natural(at).unwrap_or(0)).collect();
        let Some(width) = width else {
            return Some(widths);
        };

        let gaps = GAP.len() * kept.len().saturating_sub(1);
        let room = width.saturating_sub(gaps);
        let least: Vec<usize> = kept
            .iter()
            .zip(&widths)
            .map(|(at, natural)| self.least(*at, *natural))
            .collect();
        while widths.iter().sum::<usize>() > room {
            let widest = widths
                .iter_mut()
                .zip(&least)
                .filter(|(width, least)| **width > **least)
                .max_by_key(|(width, _)| **width);
            let (width, _) = widest?;
            *width -= 1;
        }

        let too_tall = kept.iter().zip(&widths).any(|(at, width)| {
            self.cells(*at)
                .any(|cell| wrap(cell, *width).len() > cell.lines().count().max(MOST_LINES))
        });
        (!too_tall).then_some(widths)
    }

    /// The width below which a word would break, or a text would become a ribbon.
    fn least(&self, at: usize, natural: usize) -> usize {
        let word = self
            .cells(at)
            .flat_map(str::split_whitespace)
            .map(str::width)
            .max();
        word.unwrap_or(0).max(natural.min(LEAST_TEXT))
    }

    fn head(&self, fit: &Fit, screen: &Screen) -> Vec<String> {
        let titles: Vec<&str> = fit.kept.iter().filter_map(|at| self.title(*at)).collect();
        if titles.iter().all(|title| title.is_empty()) {
            return Vec::new();
        }
        let bold = |_cell: &str| screen.colour.then_some("1");
        let mut lines = row(&titles, &fit.widths, bold);
        let gaps = GAP.len() * fit.widths.len().saturating_sub(1);
        lines.push("─".repeat(fit.widths.iter().sum::<usize>() + gaps));
        lines
    }

    fn stacked(&self, screen: &Screen) -> Vec<String> {
        let width = screen.width.unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        for (number, cells) in self.rows.iter().enumerate() {
            if number > 0 {
                lines.push(String::new());
            }
            for (column, cell) in self.columns.iter().zip(cells) {
                let text = match column.title {
                    _ if cell.is_empty() => continue,
                    "" => cell.clone(),
                    title => format!("{title}: {cell}"),
                };
                let wrapped = wrap(&text, width);
                let more = wrap(&text, width.saturating_sub(GAP.len()));
                let wrapped = if wrapped.len() > 1 { more } else { wrapped };
                let colour = hue(cell, screen).filter(|_| column.title.is_empty());
                lines.extend(wrapped.iter().enumerate().map(|(line, text)| {
                    let indent = if line == 0 { "" } else { GAP };
                    format!("{indent}{}", painted(text, colour))
                }));
            }
        }
        lines
    }
}

/// The columns that are shown, and their widths.
struct Fit {
    kept: Vec<usize>,
    widths: Vec<usize>,
}

impl Fit {
    fn row(&self, cells: &[String], screen: &Screen) -> Vec<String> {
        let cells: Vec<&str> = self
            .kept
            .iter()
            .filter_map(|at| cells.get(*at).map(String::as_str))
            .collect();
        row(&cells, &self.widths, |cell| hue(cell, screen))
    }
}

impl Fit {
    /// Wide enough for these cells, where nothing limits the width.
    fn widened(&self, cells: &[String]) -> Self {
        let wide = |(at, width): (&usize, &usize)| {
            let cell = cells.get(*at).map_or(0, |cell| cell.width());
            cell.max(*width)
        };
        Self {
            widths: self.kept.iter().zip(&self.widths).map(wide).collect(),
            kept: self.kept.clone(),
        }
    }
}

/// A table that is printed row by row, as the rows become known. A row with the longest cells that are expected sets the
/// widths.
pub(super) struct Rolling<'a> {
    grid: Grid<'a>,
    fit: Option<Fit>,
    screen: Screen,
    rows: usize,
}

impl<'a> Rolling<'a> {
    pub(super) fn new(columns: &[Column<'a>], longest: &[&str], screen: Screen) -> Self {
        let grid = Grid {
            columns: columns.to_vec(),
            rows: vec![longest.iter().map(|cell| (*cell).to_owned()).collect()],
        };
        Self {
            fit: grid.fit(screen.width),
            grid,
            screen,
            rows: 0,
        }
    }

    /// The lines above the first row.
    pub(super) fn head(&self) -> Vec<String> {
        match &self.fit {
            Some(fit) => self.grid.head(fit, &self.screen),
            None => Vec::new(),
        }
    }

    /// The lines of the next row, whose cells are safe to print already; none on a terminal once there are too many.
    pub(super) fn row(&mut self, cells: Vec<String>) -> Vec<String> {
        self.rows += 1;
        if self.hidden() > 0 {
            return Vec::new();
        }
        match (&self.fit, self.screen.width) {
            (Some(fit), Some(_)) => return fit.row(&cells, &self.screen),
            (Some(fit), None) => return fit.widened(&cells).row(&cells, &self.screen),
            (None, _) => {}
        }
        self.grid.rows = vec![cells];
        let mut lines = self.grid.stacked(&self.screen);
        lines.push(String::new());
        lines
    }

    /// The lines below the last row.
    pub(super) fn foot(&self) -> Vec<String> {
        let mut lines = match &self.fit {
            Some(fit) => self.grid.note(fit, &self.screen),
            None => Vec::new(),
        };
        lines.extend(more(self.hidden()));
        lines
    }

    fn hidden(&self) -> usize {
        match self.screen.width {
            Some(_) => self.rows.saturating_sub(MOST_ROWS),
            None => 0,
        }
    }
}

fn more(hidden: usize) -> Option<String> {
    (hidden > 0).then(|| format!("... and {hidden} more (--output json has all)"))
}

/// One row of cells as lines, without blanks at their ends.
fn row(
    cells: &[&str],
    widths: &[usize],
    colour: impl Fn(&str) -> Option<&'static str>,
) -> Vec<String> {
    let wrapped: Vec<Vec<String>> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrap(cell, *width))
        .collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);

    let line = |number: usize| {
        let mut line = String::new();
        let mut pending = 0;
        for ((cell, wrapped), width) in cells.iter().zip(&wrapped).zip(widths) {
            let text = wrapped.get(number).map_or("", String::as_str);
            if !text.is_empty() {
                line.push_str(&" ".repeat(pending));
                line.push_str(&painted(text, colour(cell)));
                pending = 0;
            }
            pending += width.saturating_sub(text.width()) + GAP.len();
        }
        line
    };
    (0..height.max(1)).map(line).collect()
}

/// The lines of a text, broken between words only; a word that is too long has a line of its own. Later lines of a line
/// that is indented have the same indent.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let wrapped = text.lines().flat_map(|line| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let options = textwrap::Options::new(width)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
            .subsequent_indent(line.get(..indent).unwrap_or_default());
        textwrap::wrap(line, options)
    });
    wrapped.map(std::borrow::Cow::into_owned).collect()
}

/// The colour of a cell that is a verdict.
fn hue(cell: &str, screen: &Screen) -> Option<&'static str> {
    let colour = match cell {
        "ok" | "yes" | "finished" | "moved" | "Deleted" => "32",
        "NOT OK" | "no" | "failed" | "dead letter" => "31",
        "WARNING" | "waiting" | "skipped" | "interrupted" => "33",
        _ => return None,
    };
    screen.colour.then_some(colour)
}

fn painted(text: &str, colour: Option<&str>) -> String {
    match colour {
        Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
