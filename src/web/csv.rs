//! `GET /api/v1/history.csv`: history of any length as CSV.
//!
//! A year of hours is many megabytes, and a client may take them slowly. So the span is asked for
//! in parts, each of which is a short question like any other, and a part is asked for when the
//! one before has been sent: no more than one is held, nothing in the database is held up in
//! between, and others have their turn. All parts name the rows that are the busiest of the whole
//! span. A part sees what has been stored since the one before.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::bodies::{Body, Form, Made};
use super::history::{parse, problem};
use super::routes::Problem;
use super::source::{Ask, IsOver, Source};
use crate::ask::step;
use crate::ask::when::rfc3339_in;
use crate::export::history_csv::{write_by_time, write_head};
use crate::store::question::{Label, Question, Step};

/// Lines of a part, about: some 40 kB.
const LINES: usize = 300;
/// Lines of a point besides those of its rows: other, none, total.
const REST: usize = 3;
/// Seconds of a day, about; the days of a time zone have 23 to 25 hours.
const DAY: i64 = 86_400;
/// How often a part is asked for anew where there is no room for the question, a second apart.
const TRIES: usize = 20;

/// A span that is being told.
#[derive(Clone)]
pub(super) struct Export {
    /// With the rows of all parts. The span is that of the whole.
    question: Question,
    zone: TimeZone,
    labels: Vec<Label>,
    /// The length of a part, seconds; `None` if there is only one.
    length: Option<i64>,
    /// The beginning of the next part; `None` once the last one has been made.
    next: Option<i64>,
}

impl Export {
    /// Finds out what the parts of an answer are.
    ///
    /// # Errors
    /// An HTTP status and a sentence: what is asked makes no sense, or cannot be read.
    pub(super) fn begin(
        query: &str,
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
            // The first and the last second tell where the intervals begin and end that they are
            // in, how long those are, and since when there are any.
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
            next: (begin < question.to).then_some(begin),
            question,
        })
    }

    /// The names of the columns.
    pub(super) fn head(&self) -> String {
        text(|out| write_head(self.question.kind, out))
    }

    /// What a browser saves it as.
    pub(super) fn file_name(&self) -> String {
        let day = |seconds| rfc3339_in(seconds, &self.zone).chars().take(10).collect::<String>();
        let Question { kind, from, to, .. } = &self.question;
        format!("brightstat-{}-{}-{}.csv", kind.plural, day(*from), day(*to))
    }

    /// The next part, and the state in which that has been made.
    fn part(
        &self,
        from: i64,
        source: &impl Source,
        is_over: IsOver,
    ) -> Result<(String, Export), Problem> {
        let end = self.question.to;
        let to = self.length.map_or(end, |length| from.saturating_add(length).min(end));
        let question = Question { from, to, ..self.question.clone() };
        let mut answer = source.history(&question, is_over).map_err(problem)?;
        // Whether a host is local is not known where it was silent.
        answer.rows.iter_mut().zip(&self.labels).for_each(|(line, label)| {
            line.label.clone_from(label);
        });
        let text = text(|out| write_by_time(&answer, &self.zone, out));
        // Spans are widened to whole intervals, so a part may end later than was asked for.
        let next =
            (self.length.is_some() && answer.to > from && answer.to < end).then_some(answer.to);
        Ok((text, Export { next, ..self.clone() }))
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::with_capacity(4 << 10);
    // Writing into memory does not fail, and what is written is text.
    let _ = write(&mut out);
    let mut text = String::from_utf8(out).unwrap_or_default();
    text.shrink_to_fit();
    text
}

/// Has the history asked. `None`: there is no room for the question now; `Some(None)`: there is no
/// answer, and none will come.
type Asker<S> = Box<dyn Fn(Ask<S>) -> Option<Option<Made>> + Send>;

/// The parts, one behind the other, each made when it is wanted.
pub(super) struct Parts<S> {
    ask: Asker<S>,
    export: Export,
    part: Cursor<Form>,
}

impl<S: Source> Parts<S> {
    pub(super) fn new(
        export: Export,
        head: Arc<Body>,
        ask: impl Fn(Ask<S>) -> Option<Option<Made>> + Send + 'static,
    ) -> Parts<S> {
        Parts { ask: Box::new(ask), export, part: head.form(false).0 }
    }

    /// Makes the next part.
    fn make(&mut self, from: i64) -> io::Result<()> {
        let made = Arc::<Mutex<Option<Export>>>::default();
        let (export, after) = (self.export.clone(), made.clone());
        let ask: Ask<S> = Arc::new(move |source, is_over| {
            let (text, export) = export.part(from, source, is_over)?;
            *after.lock().unwrap_or_else(PoisonError::into_inner) = Some(export);
            Ok(text)
        });
        let tries = (0..TRIES).find_map(|number| {
            if number > 0 {
                thread::sleep(Duration::from_secs(1));
            }
            (self.ask)(ask.clone())
        });
        let export = made.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (tries, export) {
            (Some(Some((200, body))), Some(export)) => {
                self.export = export;
                self.part = body.form(false).0;
                Ok(())
            }
            // The connection is closed without the last chunk, so that the client sees that
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
            match self.export.next {
                Some(from) => self.make(from)?,
                None => return Ok(0),
            }
        }
    }
}
