//! The routes of the API, as one table: path, methods, parameters, answer. The reference page
//! (docs/api-reference.md) is generated from it.
//!
//! One path may stand in several routes, each for another method. Whatever is not in the table is a
//! file of the page or not there: GET and HEAD tell which.

use std::borrow::Cow;
use std::fmt::Write;
use std::str::FromStr;

use super::api::{self, Page};
use super::method::{Method, Takes};
use super::pulse;
use super::query::Query;
#[cfg(test)]
use super::request::Request;
use crate::account::Snapshot;

/// The path prefix of the API.
const API: &str = "/api/v1/";

/// One route.
pub(super) struct Route {
    /// Its name: the path below [`API`].
    pub(super) name: &'static str,
    /// The methods that it is for, and how large a body may be.
    pub(super) takes: Takes,
    /// What it returns, for the reference.
    summary: &'static str,
    parameters: &'static [Parameter],
    /// The keys of its answer, for the reference.
    keys: &'static str,
    pub(super) handler: Handler,
}

#[cfg(test)]
impl Route {
    /// A route that the reference does not know.
    pub(super) const fn of(name: &'static str, takes: Takes, handler: Handler) -> Route {
        Route { name, takes, summary: "", parameters: &[], keys: "", handler }
    }
}

/// A parameter of a query string.
struct Parameter {
    name: &'static str,
    /// The value if it is not given; empty if the default needs no words.
    default: &'static str,
    meaning: &'static str,
}

const fn parameter(name: &'static str, default: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, default, meaning }
}

/// What answers a route.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// A function of the latest snapshot.
    Snapshot(fn(&Asked<'_>) -> Result<String, Problem>),
    /// The state of the daemon.
    Status,
    /// The names of hosts.
    Names,
    /// The history, as JSON.
    History,
    /// The history, as CSV that is generated while it is sent.
    HistoryCsv,
    /// A function of the request: tests see with it what arrives.
    #[cfg(test)]
    Request(fn(&Request) -> String),
}

/// An HTTP status and a sentence for people.
pub(super) type Problem = (u16, String);

/// Rows of a table by default.
const ROWS: usize = 50;
/// Rows of one answer at most, so that memory stays bounded whatever a client asks for.
const ROWS_MOST: usize = 1_000;

const LIMIT: Parameter = parameter("limit", "50", "rows to show; at most 1,000, which is also 0");
const OFFSET: Parameter = parameter("offset", "0", "rows to skip");
const ASKING: &str =
    "as of `brightstat query`, see [Asking the history](history.md#asking-the-history)";

/// Routes by their path. Tests bring tables of their own.
#[derive(Clone, Copy)]
pub(super) struct Table(pub(super) &'static [Route]);

impl Table {
    fn at(self, path: &str) -> impl Iterator<Item = &'static Route> {
        let name = path.strip_prefix(API);
        self.0.iter().filter(move |route| name == Some(route.name))
    }

    /// The route of a request.
    pub(super) fn find(self, path: &str, method: Method) -> Option<&'static Route> {
        self.at(path).find(|route| route.takes.includes(method))
    }

    /// What a path takes.
    pub(super) fn takes(self, path: &str) -> Takes {
        self.at(path).map(|route| route.takes).reduce(Takes::or).unwrap_or(Takes::GET)
    }
}

/// All routes, in the order of the reference.
pub(super) const ROUTES: Table = Table(&[
    Route {
        name: "status",
        takes: Takes::GET,
        summary: "How the daemon is doing.",
        parameters: &[],
        keys: "`name`, `version`, `time`, `age_seconds`, `uptime_seconds`, `packets`, `bytes`, `drops` \
               (`kernel`, `interface`, `ring`), `notices` (texts: what the owner has to see to), \
               `interfaces` (`name`, `is_capturing`, `trouble`, `speed_bits_per_second`), `hosts` \
               (`rows`, `limit`, `folded`), `clock` (`state`, `held_intervals`), `store` (`database`, \
               `size_bytes` with the write-ahead log, `max_size_bytes`, `written_bytes` by this \
               process since its start, `written_bytes_per_day` (null in the first hour), \
               `intervals_written`, `intervals_waiting`, `intervals_lost`, `trouble`, `tiers` (`name`, \
               `seconds`, `keep_seconds`, `in_memory`)), `names` (`level`, `names`, `packets` heard, \
               `skipped`, `forgotten`), `web` (`requests_answered`, \
               `requests_refused`), `memory_resident_bytes`, `machine` (`name`, `model`, \
               `cpu_celsius`, `load`, `memory_total_bytes`, `memory_available_bytes`, \
               `disk_total_bytes`, `disk_available_bytes`; null where not known)",
        handler: Handler::Status,
    },
    Route {
        name: "live",
        takes: Takes::GET,
        summary: "The counters, and the rates of the last seconds.",
        parameters: &[
            parameter("seconds", "60", "seconds to tell"),
            parameter("top", "10", "hosts and ports to name; at most 1,000"),
        ],
        keys: "`time`, `number` and `age_seconds` of the numbers, `rates` of the last whole second \
               (`packets_per_second`, `bits_per_second`, and with `_in`, `_out`, `_internal`, \
               `_transit`, `_none`), `totals` (`packets`, `bytes`, and by direction), `drops`, \
               `errors`, `seconds` (recent ones: `start` in Unix seconds, `packets`, `bits_in` ...), \
               `interfaces`, `hosts`, `ports`, `protocols`",
        handler: Handler::Snapshot(|asked| {
            let (seconds, top) = (asked.number("seconds", 60)?, asked.rows("top", 10)?);
            Ok(api::live(asked.snapshot, asked.age, seconds, top))
        }),
    },
    Route {
        name: "pulse",
        takes: Takes::GET,
        summary: "What a page needs every second, in few bytes; see [The pulse](api.md#the-pulse).",
        parameters: &[
            parameter("since", "the last second", "Unix seconds; what has happened after them"),
            parameter("top", "50", "hosts to name; at most 50"),
            parameter("what", "", "`hosts`, `ports`, `protocols` or `interfaces`, with `name`"),
            parameter("name", "", "the one whose counters are told as `one`"),
        ],
        keys: "`number`, `time`, `uptime_seconds`, `age_seconds`, `waiting`, `drops`, `totals`, \
               `seconds`, `hosts`, `one`",
        handler: Handler::Snapshot(|asked| {
            let since = asked.found("since").map(|text| whole("since", &text)).transpose()?;
            let one = asked.found("what").zip(asked.found("name"));
            let one = one.map(|(what, name)| pulse::one(asked.snapshot, &what, &name)).transpose();
            let one = one.map_err(|problem| (400, problem))?;
            let top = asked.number("top", ROWS)?;
            Ok(pulse::pulse(asked.snapshot, asked.age, since, top, one))
        }),
    },
    Route {
        name: "hosts",
        takes: Takes::GET,
        summary: "The hosts, busiest first.",
        parameters: &[LIMIT, OFFSET, parameter("name", "", "an address: this host only")],
        keys: "`count`, `folded`, `hosts` (`addr`, `mac`, `local`, `bytes_in`, `bytes_out`, \
               `packets_in`, `packets_out`, `first`, `last`), `other`, `none`, `total`; with `name` also \
               `services` (`protocol`, `port`, null where there is none, and counters as a host's) and \
               `other_services`: services + other services = the host",
        handler: Handler::Snapshot(|asked| match asked.found("name") {
            Some(name) => match name.parse() {
                Ok(address) => Ok(api::host(asked.snapshot, address)),
                Err(_) => Err((400, format!("'name' must be an IP address, not '{name}'"))),
            },
            None => Ok(api::hosts(asked.snapshot, asked.page()?)),
        }),
    },
    Route {
        name: "names",
        takes: Takes::GET,
        summary: "What hosts are called, as learned by listening; see [Names](names.md).",
        parameters: &[],
        keys: "`level`, `names` (by address: `name`, `source`, `shared` if unrelated services share \
               it); at most 8,192",
        handler: Handler::Names,
    },
    Route {
        name: "ports",
        takes: Takes::GET,
        summary: "The service ports, busiest first.",
        parameters: &[LIMIT, OFFSET],
        keys: "`count`, `ports` (`protocol`, `port`, `packets`, `bytes`), `other`, `none`, `total`",
        handler: Handler::Snapshot(|asked| Ok(api::ports(asked.snapshot, asked.page()?))),
    },
    Route {
        name: "protocols",
        takes: Takes::GET,
        summary: "The IP protocols.",
        parameters: &[],
        keys: "`protocols` (`protocol`, `number`, `packets`, `bytes`), `other`, `none`, `total`",
        handler: Handler::Snapshot(|asked| Ok(api::protocols(asked.snapshot))),
    },
    Route {
        name: "interfaces",
        takes: Takes::GET,
        summary: "The interfaces.",
        parameters: &[],
        keys: "`interfaces` (`name`, `link_type`, `is_decoded` (or else its frames are counted only), \
               `is_capturing`, `is_watched`, `packets`, `bytes`, `captured_bytes`, by direction, \
               `ethertypes`, \
               `errors`, `drops`, `kernel`), `total`",
        handler: Handler::Snapshot(|asked| Ok(api::interfaces(asked.snapshot))),
    },
    Route {
        name: "history",
        takes: Takes::GET,
        summary: "A question to the history.",
        parameters: &[
            parameter("what", "interfaces", ASKING),
            parameter("name", "", "one of them, such as `192.168.1.5` or `tcp/443`"),
            parameter("host", "", "with `what=services`: what this host did"),
            parameter("service", "", "with `what=services`: who used this one"),
            parameter("from", "24h", "since when"),
            parameter("to", "now", "until when"),
            parameter("by", "auto", "`minute`, `hour`, `day`, another tier, `auto` or `none`"),
            parameter("points", "300", "points that `by=auto` makes at most; at most 500"),
            parameter("top", "20", "rows to name; at most 100, with `by=none` 1,000"),
            parameter("tz", "local", "the time zone, such as `Europe/Berlin` or `utc`"),
        ],
        keys: "those of `brightstat query --json`, see [Asking the history](history.md#asking-the-history)",
        handler: Handler::History,
    },
    Route {
        name: "history.csv",
        takes: Takes::GET,
        summary: "The same as CSV, of any length and in the order of time: it is made in parts while it \
                  is sent, in chunks (HTTP/1.1). The rows are the busiest of the whole span. If the \
                  last chunk is missing, something went wrong on the way.",
        parameters: &[parameter(
            "",
            "",
            "those of `history`; `by=auto` means the tier that a graph of `points` points is made of, \
             in whole intervals",
        )],
        keys: "the columns of `brightstat query --csv`",
        handler: Handler::HistoryCsv,
    },
]);

/// The reference page, Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# API reference\n\n\
         Made by `make reference` from the table in src/web/routes.rs. \
         [api.md](api.md) says what all routes have in common, and that `hosts`, `ports`, `protocols` \
         and `interfaces` also carry the `time` of their numbers.\n",
    );
    for route in ROUTES.0 {
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "\n## `{} {API}{}`\n\n{}\n",
            route.takes.name(),
            route.name,
            route.summary
        );
        if !route.parameters.is_empty() {
            text.push_str("\n| parameter | default | meaning |\n| --- | --- | --- |\n");
        }
        for Parameter { name, default, meaning } in route.parameters {
            let code =
                |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
            let default = if default.contains(' ') { (*default).to_owned() } else { code(default) };
            let _ = writeln!(text, "| {} | {default} | {meaning} |", code(name));
        }
        if let Some(most) = route.takes.post.filter(|most| *most > 0) {
            let _ = write!(text, "\nBody: at most {most} bytes.\n");
        }
        let _ = write!(text, "\nAnswer: {}.\n", route.keys);
    }
    text
}

/// The arguments of a function of the snapshot.
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// How old the snapshot is, seconds.
    pub(super) age: u64,
    pub(super) query: &'a Query,
}

impl Asked<'_> {
    /// The value of a parameter.
    fn found(&self, name: &str) -> Option<String> {
        self.query.get(name).map(Cow::into_owned)
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Problem> {
        self.found(name).map_or(Ok(default), |text| whole(name, &text))
    }

    /// A number of rows; 0 means as many as allowed.
    fn rows(&self, name: &str, default: usize) -> Result<usize, Problem> {
        match self.number(name, default)? {
            0 => Ok(ROWS_MOST),
            rows => Ok(rows.min(ROWS_MOST)),
        }
    }

    fn page(&self) -> Result<Page, Problem> {
        Ok(Page { offset: self.number("offset", 0)?, limit: self.rows("limit", ROWS)? })
    }
}

fn whole<N: FromStr>(name: &str, text: &str) -> Result<N, Problem> {
    text.parse().map_err(|_| (400, format!("'{name}' must be a whole number, not '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_made_from_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api-reference.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(
            page == reference(),
            "docs/api-reference.md is old; make it anew with 'make reference'"
        );
    }

    #[test]
    fn a_wrong_number_is_told_by_name() {
        let query = Query::from("limit=many&offset=-1");
        let asked = Asked { snapshot: &Snapshot::default(), age: 0, query: &query };
        let problem = |parameter| (400, format!("{parameter} must be a whole number, not "));
        for (name, text) in [("'limit'", "'many'"), ("'offset'", "'-1'")] {
            let (status, words) = problem(name);
            let bare = name.trim_matches('\'');
            assert_eq!(asked.number(bare, 0), Err((status, format!("{words}{text}"))));
        }
        assert_eq!(asked.number("top", 7), Ok(7));
    }

    #[test]
    fn each_path_takes_what_its_routes_take() {
        let route = |name, takes| Route::of(name, takes, Handler::Status);
        let post = |most| Takes { get: false, post: Some(most) };
        let table = Table(Vec::leak(vec![
            route("log", Takes::GET),
            route("in", post(100)),
            route("both", Takes::GET),
            route("both", post(7)),
        ]));
        let takes = |path: &str| table.takes(path);
        assert_eq!(takes("/api/v1/log"), Takes::GET);
        assert_eq!(takes("/api/v1/in"), post(100));
        assert_eq!(takes("/api/v1/both"), Takes { get: true, post: Some(7) });
        for path in ["/", "/api/v1/", "/api/v1/in/", "/api/v1/in2", "/in", "/x/api/v1/in", "*", ""]
        {
            assert_eq!(takes(path), Takes::GET, "{path}");
        }
        let find = |path, method| table.find(path, method).map(|route| route.takes);
        assert_eq!(find("/api/v1/both", Method::Post), Some(post(7)));
        assert_eq!(find("/api/v1/both", Method::Head), Some(Takes::GET));
        assert_eq!(find("/api/v1/in", Method::Get), None);
        assert_eq!(find("/api/v1/log", Method::Post), None);
        assert_eq!(find("/api/v1/nothing", Method::Get), None);
    }

    /// The bodies of all connections may be in memory at once.
    #[test]
    fn bodies_are_small_and_each_route_is_found() {
        for route in ROUTES.0 {
            assert!(route.takes.post <= Some(8 << 10), "{}", route.name);
            // Its answers are kept and shared: it might not be called at all.
            let is_shared = matches!(route.handler, Handler::Snapshot(_));
            assert!(!(is_shared && route.takes.post.is_some()), "{}", route.name);
            let method = if route.takes.get { Method::Head } else { Method::Post };
            assert!(ROUTES.find(&format!("{API}{}", route.name), method).is_some());
        }
    }
}
