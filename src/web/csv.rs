//! `GET /api/v1/history.csv`: history of any length as CSV.
//!
//! A year of hours is many megabytes, and a client may read them slowly. So the connection's thread
//! asks for the span in parts. Each part is a short question like any other, and is asked for after
//! the previous part has been sent. At most one part is in memory, the database is free in between,
//! and others get their turn. All parts have the same rows: the busiest of the whole span. A part
//! includes what was stored since the previous one.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::bodies::{Body, Form, Made};
use super::history::{parse, problem};
use super::query::Query;
use super::routes::Problem;
use super::source::{Ask, IsOver, Source};
use crate::ask::step;
use crate::ask::when::rfc3339_in;
use crate::export::history_csv::{write_by_time, write_head};
use crate::store::question::{Label, Question, Step};

/// Lines of a part, roughly, and bytes of a line: longer ones are rare.
const LINES: usize = 300;
const LINE: usize = 200;
/// Lines of a point besides its rows: other, none, total.
const REST: usize = 3;
/// Seconds of a day, roughly: the days of a time zone have 23 to 25 hours.
const DAY: i64 = 86_400;
/// How often a part is asked for, a second apart, if there is no room for the question.
const TRIES: usize = 20;

/// What all parts of an answer have in common.
pub(super) struct Export {
    /// With the rows of all parts, and the whole span.
    question: Question,
    zone: TimeZone,
    labels: Vec<Label>,
    /// The length of a part, seconds; `None` if there is only one.
    length: Option<i64>,
    /// The beginning of the first part; `None` if there is none.
    begin: Option<i64>,
}

impl Export {
    /// Determines the parts of an answer.
    ///
    /// # Errors
    /// An HTTP status and a sentence: the question makes no sense, or the history cannot be read.
    pub(super) fn begin(
        query: &Query,
        source: &impl Source,
        is_over: &IsOver,
    ) -> Result<Export, Problem> {
        let (mut question, zone) = parse(query)?;
        let ask = |question: &Question| source.history(question, is_over.clone()).map_err(problem);
        if let Step::Auto(_) = question.step {
            question.step = step(&ask(&Question { top: 1, ..question.clone() })?.tier, &zone);
        }
        let is_whole = matches!(question.step, Step::Whole);
        let (mut begin, mut length) = (question.from, None);
        if !is_whole {
            // Questions for the first and the last second yield the bounds of the intervals that
            // contain them, the length of an interval, and the oldest one kept.
            let second = |from| Question { from, to: from + 1, top: 1, ..question.clone() };
            let (first, last) = (ask(&second(question.from))?, ask(&second(question.to - 1))?);
            (question.from, question.to) = (first.from, last.to);
            begin = first.kept_since.unwrap_or(first.from);
            length = Some(first.step.map_or(DAY, i64::from));
        }
        let rows = ask(&Question { step: Step::Whole, ..question.clone() })?;
        let points = (LINES / (rows.rows.len() + REST)).max(1) as i64;
        question.rows = Some(rows.keys);
        Ok(Export {
            zone,
            labels: rows.rows.into_iter().map(|line| line.label).collect(),
            length: length.map(|length| length.saturating_mul(points)),
            begin: (begin < question.to).then_some(begin),
            question,
        })
    }

    /// The header line: the names of the columns.
    pub(super) fn head(&self) -> String {
        text(|out| write_head(self.question.kind, out))
    }

    /// The file name under which a browser saves it.
    pub(super) fn file_name(&self) -> String {
        let day = |seconds| rfc3339_in(seconds, &self.zone).chars().take(10).collect::<String>();
        let Question { kind, from, to, .. } = &self.question;
        format!("brightstat-{}-{}-{}.csv", kind.plural, day(*from), day(*to))
    }

    /// Bytes that a part takes, roughly: one with a single point has all rows.
    pub(super) fn part_size(&self) -> usize {
        LINE * LINES.max(self.labels.len() + REST)
    }

    /// The part that begins at `from`, and the beginning of the next one; `None` after the last.
    fn part(
        &self,
        from: i64,
        source: &impl Source,
        is_over: IsOver,
    ) -> Result<(String, Option<i64>), Problem> {
        let end = self.question.to;
        let to = self.length.map_or(end, |length| from.saturating_add(length).min(end));
        let question = Question { from, to, ..self.question.clone() };
        let mut answer = source.history(&question, is_over).map_err(problem)?;
        // A part in which a host was silent does not know whether it is local.
        answer.rows.iter_mut().zip(&self.labels).for_each(|(line, label)| {
            line.label.clone_from(label);
        });
        let text = text(|out| write_by_time(&answer, &self.zone, out));
        // Spans are widened to whole intervals, so a part may end later than requested.
        let next =
            (self.length.is_some() && answer.to > from && answer.to < end).then_some(answer.to);
        Ok((text, next))
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::with_capacity(4 << 10);
    // Writing into memory cannot fail, and the writer writes UTF-8.
    let _ = write(&mut out);
    let mut text = String::from_utf8(out).unwrap_or_default();
    text.shrink_to_fit();
    text
}

/// Puts a question to the history. `None`: there is no room for it now; `Some(None)`: there is no
/// answer, and there will be none.
type Asker<S> = Box<dyn Fn(Ask<S>) -> Option<Option<Made>> + Send>;

/// Reads the parts one after another, and makes each on demand.
pub(super) struct Parts<S> {
    ask: Asker<S>,
    export: Arc<Export>,
    /// The beginning of the next part; `None` after the last one.
    next: Option<i64>,
    part: Cursor<Form>,
}

impl<S: Source> Parts<S> {
    pub(super) fn new(
        export: Arc<Export>,
        head: Arc<Body>,
        ask: impl Fn(Ask<S>) -> Option<Option<Made>> + Send + 'static,
    ) -> Parts<S> {
        Parts { ask: Box::new(ask), next: export.begin, export, part: head.form(false).0 }
    }

    /// Makes the next part.
    fn make(&mut self, from: i64) -> io::Result<()> {
        let next = Arc::<OnceLock<Option<i64>>>::default();
        let (export, after) = (self.export.clone(), next.clone());
        let ask: Ask<S> = Arc::new(move |source, is_over| {
            let (text, next) = export.part(from, source, is_over)?;
            let _ = after.set(next);
            Ok(text)
        });
        let tries = (0..TRIES).find_map(|number| {
            if number > 0 {
                thread::sleep(Duration::from_secs(1));
            }
            (self.ask)(ask.clone())
        });
        match (tries, next.get()) {
            (Some(Some((200, body))), Some(next)) => {
                self.next = *next;
                self.part = body.form(false).0;
                Ok(())
            }
            // The connection is closed without the last chunk, so that the client notices that
            // something is missing.
            _ => Err(io::Error::other("the history cannot be read any further")),
        }
    }
}

impl<S: Source> Read for Parts<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.part.read(out)?;
            if length > 0 || out.is_empty() {
                return Ok(length);
            }
            match self.next {
                Some(from) => self.make(from)?,
                None => return Ok(0),
            }
        }
    }
}
