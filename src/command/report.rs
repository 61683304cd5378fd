//! `brightstat report`: sends capture files through the same decoder, ring and worker as the
//! daemon.

use std::path::Path;
use std::thread;

use super::args::ReportArguments;
use super::print;
use super::progress::Progress;
use crate::account::{Accounts, LocalNetworks};
use crate::capture::file::{CaptureFile, Outcome};
use crate::capture::undecoded_notice;
use crate::daemon::worker::Worker;
use crate::export::report::Report;
use crate::failure::{Exit, Failure};
use crate::names::{self, Book, Listener};
use crate::ring::{DEFAULT_CAPACITY, Sender, ring};

/// Reads the files and prints the account.
///
/// # Errors
/// The last problem with a file that could not be opened or read to its end. The account of the
/// others, and of the part before the damage, has been printed by then.
pub fn run(arguments: &ReportArguments) -> Result<(), Failure> {
    let local = if arguments.local.is_empty() {
        LocalNetworks::private_and(Vec::new())
    } else {
        LocalNetworks::exactly(arguments.local.clone())
    };
    let mut worker = Worker::new(Accounts::of_files(arguments.max_hosts as usize, local));
    let (mut problems, mut notices) = (Vec::new(), Vec::new());
    let mut book = (!arguments.no_names).then(Book::default);
    let mut opened = 0;
    for path in &arguments.files {
        match CaptureFile::open(path) {
            Ok(file) => {
                opened += 1;
                let (problem, notice) = read(&mut worker, &mut book, path, file);
                problems.extend(problem);
                notices.extend(notice);
            }
            Err(problem) => problems.push(problem.into()),
        }
    }
    if opened > 0 {
        let snapshot = worker.accounts().snapshot();
        let told: Vec<String> = problems.iter().map(|p| p.message.clone()).collect();
        let report =
            Report::new(&snapshot, arguments.top, &told, &notices).with_names(book.as_ref());
        let text =
            if arguments.json { format!("{:#}\n", report.to_json()) } else { report.to_text() };
        print(&text)?;
    }
    // The other problems are printed here, the last one by main.
    let last = problems.pop();
    for problem in &problems {
        eprintln!("brightstat: {problem}");
    }
    last.map_or(Ok(()), Err)
}

/// Reads one file, which gets one line of report at most. Returns why it could not be read to its
/// end, and what of it is not decoded.
fn read(
    worker: &mut Worker,
    book: &mut Option<Book>,
    path: &Path,
    file: CaptureFile,
) -> (Option<Failure>, Option<String>) {
    let Outcome { link_types, end } = match count(worker, book, path, file) {
        Ok(outcome) => outcome,
        Err(problem) => return (Some(problem), None),
    };
    let notice = undecoded_notice(&path.display().to_string(), &link_types);
    let problem = match (end.err().map(Failure::from), &notice) {
        (None, Some(notice)) => {
            eprintln!("brightstat: {notice}");
            None
        }
        (Some(problem), Some(_)) => {
            Some(Failure::new(problem.exit, format!("{problem}, but not decoded")))
        }
        (problem, None) => problem,
    };
    (problem, notice)
}

/// Reads one file in a thread of its own; this thread is the worker.
fn count(
    worker: &mut Worker,
    book: &mut Option<Book>,
    path: &Path,
    file: CaptureFile,
) -> Result<Outcome, Failure> {
    let (mut sender, mut receiver) = ring(DEFAULT_CAPACITY, thread::current());
    let link_type = file.link_type().unwrap_or_default();
    let progress = if file.is_packed() { None } else { Progress::of(path) };
    let name = path.display().to_string();
    let mut lent = book.take();
    let reader = thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || {
            let outcome = match &mut lent {
                Some(book) => read_with_names(file, &mut sender, book),
                None => file.read(&mut sender, |_, _| ()),
            };
            (outcome, lent)
        })
        .map_err(|e| Failure::new(Exit::Unavailable, format!("cannot start a thread: {e}")))?;
    receiver.set_producer(reader.thread().clone());
    worker.add(&name, &link_type, receiver);
    match progress {
        Some(mut progress) => {
            let start = worker.accounts().captured();
            worker.run_to_end(|accounts| {
                let done = accounts.captured() - start;
                progress.show(done.bytes + done.packets * HEADER);
            });
        }
        None => worker.run_to_end(|_| ()),
    }
    let Ok((outcome, lent)) = reader.join() else {
        return Err(Failure::new(Exit::Io, format!("{name}: reader failed")));
    };
    *book = lent;
    worker.set_link_type(&name, &outcome.link_types);
    Ok(outcome)
}

/// Reads a file, and on the same thread the names in its frames.
fn read_with_names(file: CaptureFile, sender: &mut Sender, book: &mut Book) -> Outcome {
    let mut listener = Listener::default();
    file.read(sender, |frame, record| {
        if names::wants(record) {
            listener.hear(frame, record, &mut |claim| book.note(record.timestamp, claim));
        }
    })
}

/// Bytes before each frame in a classic capture file.
const HEADER: u64 = 16;
