//! Who waits for whom: questions to a history that answers when it is told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use serde_json::Value;

use super::*;
use crate::account::Snapshot;
use crate::failure::{Exit, Failure};
use crate::store::question;
use crate::web::routes::IsOver;

const TIME: Duration = Duration::from_secs(20);
const CONNECTIONS: usize = 64;

/// A source whose history answers when it is told to.
struct Slow(Mutex<Receiver<()>>, AtomicU64);

impl Source for Slow {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }
    fn age(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }
    fn status(&self) -> Value {
        Value::Null
    }
    fn history(
        &self,
        _: &question::Question,
        is_over: IsOver,
    ) -> Result<question::Answer, Failure> {
        let end = Instant::now() + TIME;
        let told = self.0.lock().unwrap();
        while !is_over() && Instant::now() < end && told.recv_timeout(SLICE / 20).is_err() {}
        Err(Failure::new(Exit::Unavailable, "told to".to_owned()))
    }
}

/// The status of an answer and its body; 0 and why not, if it was refused.
fn ask(answers: &Answers<Slow>, address: &str, path: &str) -> (u16, String) {
    ask_as(answers, address, path, true)
}

fn ask_as(answers: &Answers<Slow>, address: &str, path: &str, takes_gzip: bool) -> (u16, String) {
    let request = Request {
        is_head: false,
        path: path.to_owned(),
        query: String::new(),
        etag: String::new(),
        takes_gzip,
        may_stay: true,
        length: 0,
    };
    match answers.answer(&request, address.parse().unwrap(), TIME, || false) {
        Ok(answer) => {
            let mut text = Vec::new();
            answer.print(&mut text, false, false).unwrap();
            let text = String::from_utf8_lossy(&text).into_owned();
            (text[9..12].parse().unwrap(), text)
        }
        Err(Refused(_, why)) => (0, why.to_owned()),
    }
}

/// Ends the threads, also where a test has failed.
struct End<'a>(&'a Answers<Slow>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs the two threads around `body`.
fn serving(body: impl FnOnce(&Answers<Slow>, &Sender<()>)) {
    let (go, told) = mpsc::channel();
    let answers = Answers::new(Arc::new(Slow(Mutex::new(told), AtomicU64::new(0))), CONNECTIONS);
    let answers = &answers;
    thread::scope(|scope| {
        scope.spawn(|| answers.run());
        scope.spawn(|| answers.run_history());
        let _end = End(answers);
        body(answers, &go);
    });
}

/// Waits until so many questions to the history wait.
fn wait_for(answers: &Answers<Slow>, waiting: usize) {
    let end = Instant::now() + TIME;
    while answers.history.waiting() != waiting {
        assert!(Instant::now() < end, "{} wait, not {waiting}", answers.history.waiting());
        thread::yield_now();
    }
}

#[test]
fn long_questions_to_the_history_hold_up_nobody_else() {
    serving(|answers, go| {
        thread::scope(|scope| {
            let ask_history = || ask(answers, "192.0.2.1", HISTORY).0;
            let asked: Vec<_> =
                (0..QUESTIONS_PER_CLIENT).map(|_| scope.spawn(ask_history)).collect();
            wait_for(answers, QUESTIONS_PER_CLIENT - 1);
            for path in ["/api/v1/live", "/api/v1/status", "/"] {
                assert_eq!(ask(answers, "192.0.2.1", path).0, 200, "{path}");
            }
            assert_eq!(ask(answers, "192.0.2.1", "/api/v1/nothing").0, 404);
            assert!(asked.iter().all(|asked| !asked.is_finished()));
            for _ in &asked {
                go.send(()).unwrap();
            }
            for asked in asked {
                assert_eq!(asked.join().unwrap(), 503);
            }
        });
    });
}

#[test]
fn a_crowd_that_asks_the_history_is_refused_at_once_and_others_wait_for_one_question() {
    serving(|answers, go| {
        thread::scope(|scope| {
            let (order, done) = mpsc::channel();
            let ask_as = |address: String, who: &'static str| {
                let order = order.clone();
                scope.spawn(move || {
                    let (status, text) = ask(answers, &address, HISTORY);
                    let _ = order.send((who, status, text));
                });
            };
            // 15 from each of 64 addresses of one network, and of one /64 besides.
            for number in 0..64 {
                for _ in 0..15 {
                    ask_as(format!("10.66.0.{number}"), "attacker");
                }
                ask_as(format!("2001:db8::{number:x}"), "attacker");
            }
            // One is being answered, half of the connections wait, all others are refused.
            for _ in 0..64 * 16 - 1 - CONNECTIONS / 2 {
                let (_, status, why) = done.recv_timeout(TIME).unwrap();
                assert_eq!((status, &*why), (0, "Too many questions; try again in a moment."));
            }
            wait_for(answers, CONNECTIONS / 2);
            ask_as("192.168.1.7".to_owned(), "victim");
            let (who, status, _) = done.recv_timeout(TIME).unwrap();
            assert_eq!((who, status), ("attacker", 0), "one makes room for the newcomer");
            for turn in ["attacker", "victim", "attacker"] {
                go.send(()).unwrap();
                let (who, status, text) = done.recv_timeout(TIME).unwrap();
                assert_eq!((who, status), (turn, 503));
                assert!(text.contains("\r\nRetry-After: 1\r\n"), "{text}");
            }
            // The daemon stops: what waits is refused.
            answers.close();
            go.send(()).unwrap();
        });
    });
}

/// The body was kept as long as the snapshot was the same: a daemon whose counting hung looked
/// alive.
#[test]
fn numbers_that_grow_old_say_so_although_answers_are_kept() {
    serving(|answers, _| {
        for (age, wanted) in [(0, 0), (0, 0), (2, 2), (3, 3), (0, 0)] {
            answers.source.1.store(age, Ordering::Relaxed);
            for path in ["/api/v1/pulse", "/api/v1/live"] {
                let (status, text) = ask_as(answers, "192.0.2.1", path, false);
                assert_eq!(status, 200);
                assert!(text.contains(&format!("\"age_seconds\":{wanted}")), "{age}: {text}");
            }
        }
    });
}
