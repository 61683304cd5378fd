//! Which questions wait for which: a history that answers only when the test allows it.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread;

use serde_json::Value;

use super::*;
use crate::account::Snapshot;
use crate::store::{Error, question};
use crate::web::headers::Headers;
use crate::web::method::Method;
use crate::web::source::IsOver;

/// The path of questions to the history.
const HISTORY: &str = "/api/v1/history";
const TIME: Duration = Duration::from_secs(20);
const CONNECTIONS: usize = 64;

/// A source whose history answers short questions (those for one row) at once, and others when the
/// test allows it.
#[derive(Default)]
struct Slow {
    told: AtomicUsize,
    /// Questions that are being answered.
    running: AtomicUsize,
    age: AtomicU64,
}

impl Source for Slow {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }
    fn age(&self) -> u64 {
        self.age.load(Ordering::Relaxed)
    }
    fn status(&self) -> Value {
        Value::Null
    }
    fn names(&self) -> Value {
        Value::Null
    }
    fn history(
        &self,
        asked: &question::Question,
        is_over: IsOver,
    ) -> Result<question::Answer, Error> {
        self.running.fetch_add(1, Ordering::Relaxed);
        let end = Instant::now() + TIME;
        let take = |told: usize| told.checked_sub(1);
        let is_told = || self.told.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        while asked.top > 1 && !is_over() && !is_told() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        self.running.fetch_sub(1, Ordering::Relaxed);
        Err(Error::LogInUse { path: "told to".into() })
    }
}

/// The status of an answer and its body; if it was refused, 0 and the reason.
fn ask(answers: &Arc<Answers<Slow>>, address: &str, path: &str) -> (u16, String) {
    ask_as(answers, address, path, true, || false)
}

fn ask_as(
    answers: &Arc<Answers<Slow>>,
    address: &str,
    path: &str,
    takes_gzip: bool,
    is_gone: impl Fn() -> bool,
) -> (u16, String) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = Request {
        method: Method::Get,
        path: path.to_owned(),
        query: query.into(),
        headers: Headers::default(),
        address: address.parse().unwrap(),
        body: Vec::new(),
        takes_gzip,
        may_stay: true,
        knows_chunks: true,
    };
    match answers.answer(&request, TIME, is_gone) {
        Ok(answer) => {
            let mut text = Vec::new();
            answer.print(&mut text, false, false).unwrap();
            let text = String::from_utf8_lossy(&text).into_owned();
            (text[9..12].parse().unwrap(), text)
        }
        Err(Refused { why, .. }) => (0, why.to_owned()),
    }
}

/// Ends the threads, even if a test fails.
struct End<'a>(&'a Answers<Slow>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs the three threads around `body`.
fn serving(body: impl FnOnce(&Arc<Answers<Slow>>)) {
    let answers = &Arc::new(Answers::new(Arc::<Slow>::default(), CONNECTIONS));
    thread::scope(|scope| {
        scope.spawn(|| answers.run());
        scope.spawn(|| answers.run_history());
        scope.spawn(|| answers.run_long_history());
        let _end = End(answers);
        body(answers);
    });
}

/// Waits until `is` holds.
fn wait_for(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + TIME;
    while !is() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::yield_now();
    }
}

#[test]
fn long_questions_to_the_history_hold_up_nobody_else() {
    serving(|answers| {
        thread::scope(|scope| {
            let ask_history = || ask(answers, "192.0.2.1", HISTORY).0;
            let asked: Vec<_> =
                (0..QUESTIONS_PER_CLIENT).map(|_| scope.spawn(ask_history)).collect();
            // Each lane is answering one; the other two exceeded their slice.
            let is_so = || answers.history.waiting() == 0 && answers.long.waiting() == 2;
            wait_for("questions in both lanes", is_so);
            for path in ["/api/v1/live", "/api/v1/status", "/"] {
                assert_eq!(ask(answers, "192.0.2.1", path).0, 200, "{path}");
            }
            assert_eq!(ask(answers, "192.0.2.1", "/api/v1/nothing").0, 404);
            assert!(asked.iter().all(|asked| !asked.is_finished()));
            answers.source.told.store(QUESTIONS_PER_CLIENT, Ordering::Relaxed);
            for asked in asked {
                assert_eq!(asked.join().unwrap(), 503);
            }
        });
    });
}

#[test]
fn a_short_question_is_answered_whatever_long_ones_a_crowd_asks() {
    serving(|answers| {
        thread::scope(|scope| {
            let (order, done) = mpsc::channel();
            // 15 from each of 64 addresses of one network, and 64 more from one /64.
            for number in 0..64 * 16 {
                let order = order.clone();
                let address = match number / 64 {
                    15 => format!("2001:db8::{number:x}"),
                    _ => format!("10.66.0.{}", number % 64),
                };
                scope.spawn(move || order.send(ask(answers, &address, HISTORY)).unwrap());
            }
            wait_for("a crowd", || {
                answers.long.waiting() == CONNECTIONS / 8 && answers.history.waiting() > 0
            });
            // None of those has been answered, and none will be.
            for question in ["?top=1", "?top=1&what=hosts", "?top=1&from=10y"] {
                let (status, text) = ask(answers, "10.66.0.99", &format!("{HISTORY}{question}"));
                assert_eq!(status, 503, "{question}");
                assert!(
                    text.contains("told to") && text.contains("\r\nRetry-After: 1\r\n"),
                    "{text}"
                );
            }
            // The daemon stops: waiting questions are refused, running ones are cancelled.
            answers.close();
            drop(order);
            let refused = (0, "Too many questions; try again in a moment.".to_owned());
            assert!(done.iter().all(|answer| answer == refused));
        });
    });
}

#[test]
fn nobody_goes_on_with_a_question_whose_client_has_gone() {
    serving(|answers| {
        let (is_gone, running) = (AtomicBool::new(false), &answers.source.running);
        thread::scope(|scope| {
            let ask = || {
                let is_gone = || is_gone.load(Ordering::Relaxed);
                ask_as(answers, "192.0.2.1", HISTORY, true, is_gone).0
            };
            let asked = [scope.spawn(ask), scope.spawn(ask), scope.spawn(ask)];
            wait_for("questions", || running.load(Ordering::Relaxed) == 2);
            is_gone.store(true, Ordering::Relaxed);
            for asked in asked {
                assert_eq!(asked.join().unwrap(), 0);
            }
            wait_for("an end", || running.load(Ordering::Relaxed) == 0);
        });
    });
}

/// Once, a cached body lived as long as its snapshot, so a daemon whose counting hung looked alive.
#[test]
fn numbers_that_grow_old_say_so_although_answers_are_kept() {
    serving(|answers| {
        for (age, wanted) in [(0, 0), (0, 0), (2, 2), (3, 3), (0, 0)] {
            answers.source.age.store(age, Ordering::Relaxed);
            for path in ["/api/v1/pulse", "/api/v1/live"] {
                let (status, text) = ask_as(answers, "192.0.2.1", path, false, || false);
                assert_eq!(status, 200);
                assert!(text.contains(&format!("\"age_seconds\":{wanted}")), "{age}: {text}");
            }
        }
    });
}
