//! `GET /api/v1/history`: questions to the history, and answers as JSON. Runs on the history
//! threads.

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::query::Query;
use super::routes::Problem;
use super::source::{IsOver, Source};
use crate::ask::{Words, question};
use crate::export::history_json::to_json;
use crate::failure::{Coded, Exit};
use crate::store::Error;
use crate::store::question::Question;

/// Points of an answer: at most, and by default.
const POINTS_MOST: usize = 500;
const POINTS: usize = 300;
/// Rows of an answer: at most, at most with a single point, and by default.
const ROWS_MOST: usize = 100;
const ROWS_MOST_AT_ONCE: usize = 1_000;
const ROWS: usize = 20;

/// Answers the question in a query string, as JSON; see [`Source::history`]. Errors carry an
/// HTTP status.
pub(super) fn history(
    query: &Query,
    source: &impl Source,
    is_over: IsOver,
) -> Result<String, Problem> {
    let (question, zone) = parse(query)?;
    let answer = source.history(&question, is_over).map_err(problem)?;
    Ok(to_json(&answer, &zone))
}

/// The question in a query string, and the time zone of the answer.
pub(super) fn parse(query: &Query) -> Result<(Question, TimeZone), Problem> {
    let mut words = Words { points: POINTS, most: POINTS_MOST, top: ROWS, ..Words::default() };
    let parameters: Vec<_> = query.all().collect();
    for (name, value) in &parameters {
        let value = value.as_ref();
        let number = |most: usize| {
            let number = value.parse::<usize>().ok().filter(|n| (1..=most).contains(n));
            let problem =
                || format!("'{name}' must be a whole number from 1 to {most}, not '{value}'");
            number.ok_or_else(|| (400, problem()))
        };
        match name.as_ref() {
            "what" => words.what = value,
            "name" => words.name = value,
            "host" => words.host = value,
            "service" => words.service = value,
            "from" => words.from = value,
            "to" => words.to = value,
            "by" => words.by = value,
            "tz" => words.tz = value,
            "points" => words.points = number(POINTS_MOST)?,
            "top" => words.top = number(ROWS_MOST_AT_ONCE)?,
            _ => return Err((400, format!("there is no parameter '{name}' here"))),
        }
    }
    if words.top > ROWS_MOST && words.by != "none" {
        return Err((400, format!("'top' can be more than {ROWS_MOST} only with by=none")));
    }
    if words.what.is_empty() {
        words.what = "interfaces";
    }
    question(&words, &Zoned::now()).map_err(|problem| (400, problem))
}

/// An error of the store as an HTTP status and a sentence.
pub(super) fn problem(error: Error) -> Problem {
    let is_of_question = matches!(error.exit(), Exit::Usage | Exit::NoInput);
    (if is_of_question { 400 } else { 503 }, error.to_string())
}
