//! Which connection is closed for which, on connections to a listener of the test's own.

use std::net::TcpListener;
use std::sync::RwLock;

use super::super::Counts;
use super::*;
use crate::web::names::Admission;

/// A guard with so many slots, and its limits.
struct World {
    guard: Guard,
    limits: Limits,
    recent: Arc<Recent>,
    stream: Arc<TcpStream>,
}

impl World {
    fn new(connections: usize) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let recent = Arc::<Recent>::default();
        let guard = Guard {
            admission: RwLock::new(Admission::default()),
            connections,
            connections_per_address: connections,
            counts: Counts::default(),
        };
        World { guard, limits: Limits::new(recent.clone()), recent, stream: Arc::new(stream) }
    }

    fn enter(&self, client: u8) -> Option<Slot> {
        self.limits.enter(&self.guard, &self.stream, IpAddr::from([192, 0, 2, client]))
    }
}

/// The client has been reading its answer for this long.
fn sends(slot: &Slot, ago: Duration) {
    assert!(slot.set(Phase::Sending(Instant::now().checked_sub(ago).unwrap())));
}

fn has_slot(slot: &Slot) -> bool {
    slot.set(Phase::Answering)
}

const LONG: usize = 2 << 20;

#[test]
fn who_does_not_take_long_answers_makes_room_for_others() {
    let world = World::new(64);
    let slots: Vec<_> = (0..4).map(|client| world.enter(client).unwrap()).collect();
    for (slot, seconds) in slots.iter().zip([2, 3, 1, 0]) {
        assert!(slot.hold(LONG));
        sends(slot, Duration::from_secs(seconds));
    }
    // The slowest of the slow ones is closed.
    let newcomer = world.enter(9).unwrap();
    assert!(newcomer.hold(LONG));
    assert!(!has_slot(&slots[1]));
    // One that has just begun to read its answer is not touched; a client with many recent requests
    // is closed before a slower one.
    for _ in 0..100 {
        world.recent.note(Client::from(IpAddr::from([192, 0, 2, 2])), Instant::now());
    }
    assert!(world.enter(10).unwrap().hold(LONG));
    assert!(!slots[2].set(Phase::Sending(Instant::now())));
    sends(&slots[0], Duration::from_secs(2));
    sends(&slots[3], Duration::ZERO);
}

#[test]
fn long_answers_are_bounded_where_nobody_is_slow() {
    let world = World::new(64);
    let slots: Vec<_> = (0..4).map(|client| world.enter(client).unwrap()).collect();
    for slot in &slots {
        assert!(slot.hold(LONG));
        sends(slot, Duration::ZERO);
    }
    let newcomer = world.enter(9).unwrap();
    assert!(!newcomer.hold(HELD_FREE + 1));
    assert!(newcomer.hold(HELD_FREE));
    assert!(slots[0].hold(0) && newcomer.hold(LONG));
    // One client holds at most half of it.
    let second = world.enter(9).unwrap();
    assert!(second.hold(0) && slots[1].hold(0) && second.hold(LONG));
    assert!(slots[2].hold(0) && slots[3].hold(0));
    assert!(!world.enter(9).unwrap().hold(LONG) && world.enter(8).unwrap().hold(LONG));
}
