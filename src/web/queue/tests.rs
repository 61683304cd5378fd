//! The order in which questions are answered, and which question displaces which.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn attacker(number: usize) -> IpAddr {
    ip(&format!("10.66.0.{number}"))
}

/// Answers the next question, as if it took `time`.
fn answer(queue: &Queue<&'static str>, time: Duration) -> Option<&'static str> {
    let mut state = queue.lock();
    let (client, job) = state.pop()?;
    state.charge(client, time);
    Some(job)
}

#[test]
fn a_client_that_asks_now_and_then_goes_before_a_crowd_that_waits() {
    let queue = Queue::new(1_000, 15, Arc::default());
    for _ in 0..15 {
        for number in 0..64 {
            assert!(queue.push(attacker(number), "attack"));
        }
    }
    for round in 0..200 {
        assert_eq!(answer(&queue, SECOND), Some("attack"));
        if round % 70 == 69 {
            assert!(queue.push(ip("192.168.1.7"), "victim"));
            // Round after round, at most one question of another client goes first.
            let before = (0..).take_while(|_| answer(&queue, SECOND) != Some("victim")).count();
            assert!(before <= 1, "round {round}: {before} went before");
        }
    }
}

#[test]
fn clients_take_turns_by_the_time_that_their_questions_take() {
    let queue = Queue::new(100, 50, Arc::default());
    for _ in 0..40 {
        queue.push(attacker(1), "slow");
        queue.push(attacker(2), "quick");
    }
    let (mut slow, mut quick) = (0, 0);
    for _ in 0..22 {
        let mut state = queue.lock();
        let (client, job) = state.pop().unwrap();
        let time = if job == "slow" { SECOND * 10 } else { SECOND };
        state.charge(client, time);
        *(if job == "slow" { &mut slow } else { &mut quick }) += 1;
    }
    assert_eq!((slow, quick), (2, 20));
}

#[test]
fn time_is_not_saved_up() {
    let queue = Queue::new(100, 50, Arc::default());
    for _ in 0..20 {
        queue.push(attacker(1), "first");
    }
    for _ in 0..10 {
        answer(&queue, SECOND);
    }
    for _ in 0..20 {
        queue.push(attacker(2), "second");
    }
    // It was away for ten questions, and now gets every second one, not ten in a row.
    let order: Vec<_> = (0..10).map(|_| answer(&queue, SECOND).unwrap()).collect();
    assert_eq!(order.iter().filter(|job| **job == "second").count(), 5, "{order:?}");
}

#[test]
fn a_crowd_cannot_keep_others_out_by_waiting() {
    let queue = Queue::new(32, 4, Arc::default());
    let mut refused = 0;
    for number in 0..64 {
        for _ in 0..15 {
            refused += usize::from(!queue.push(attacker(number), "attack"));
        }
    }
    assert_eq!(queue.waiting(), 32);
    assert!(refused >= 64 * 11, "{refused}");
    // After the crowd has been answered for a while, another client asks for the first time.
    for number in 0..64 {
        assert!(answer(&queue, SECOND).is_some());
        queue.push(attacker(number), "attack");
    }
    assert_eq!(queue.waiting(), 32);
    assert!(queue.push(ip("192.168.1.7"), "victim"));
    // The crowd keeps asking, and does not displace it.
    for number in 100..200 {
        queue.push(attacker(number), "attack");
    }
    assert_eq!(queue.waiting(), 32);
    let before = (0..32).take_while(|_| answer(&queue, SECOND) != Some("victim")).count();
    assert!(before <= 1, "{before} went before");
}

#[test]
fn a_64_has_the_room_of_one_client_and_shares_it_by_address() {
    let queue = Queue::new(32, 4, Arc::default());
    for number in 0..64 {
        queue.push(ip(&format!("2001:db8::{number:x}")), "attack");
        assert!(queue.waiting() <= 4);
    }
    let queue = Queue::new(32, 4, Arc::default());
    for _ in 0..15 {
        queue.push(ip("2001:db8::1"), "attack");
    }
    assert_eq!(queue.waiting(), 4);
    assert!(queue.push(ip("2001:db8::2"), "neighbour"));
    assert!(!queue.push(ip("2001:db8::1"), "attack"));
    assert_eq!(queue.waiting(), 4);
    let order: Vec<_> = (0..4).filter_map(|_| answer(&queue, SECOND)).collect();
    assert!(order.contains(&"neighbour"), "{order:?}");
}

#[test]
fn a_closed_queue_ends_those_who_wait_for_questions() {
    let queue = Queue::new(4, 4, Arc::default());
    queue.push(attacker(1), "never answered");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let first = queue.next().map(|(_, job)| job);
            (first, queue.next().is_none())
        });
        while queue.waiting() > 0 {
            std::thread::yield_now();
        }
        queue.close();
        assert_eq!(waiting.join().unwrap(), (Some("never answered"), true));
    });
    assert!(!queue.push(attacker(1), "too late") && queue.waiting() == 0);
}

#[test]
fn what_is_remembered_of_clients_is_bounded() {
    let queue = Queue::new(4, 4, Arc::default());
    for number in 0..10_000_u32 {
        let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number));
        queue.push(address, "attack");
        if number % 2 == 0 {
            answer(&queue, SECOND / (number + 1));
        }
        assert!(queue.lock().flows.len() <= 4 + REMEMBERED);
    }
}

#[test]
fn who_has_asked_for_much_of_late_comes_last_makes_room_and_gives_way() {
    let recent = Arc::<Recent>::default();
    let queue = Queue::new(2, 4, recent.clone());
    for _ in 0..100 {
        recent.note(Client::from(attacker(1)), Instant::now());
    }
    assert!(queue.push(attacker(1), "first"));
    let (turn, _) = queue.next().unwrap();
    let running = turn.running();
    let long = Duration::MAX;
    assert!(!queue.wants_the_turn_of(&running, long), "nobody waits");
    assert!(queue.push(attacker(1), "attack"));
    assert!(!queue.wants_the_turn_of(&running, long), "only that client itself waits");
    assert!(queue.push(attacker(2), "second"));
    assert!(queue.wants_the_turn_of(&running, long));
    drop(turn);
    // The queue is full.
    assert!(queue.push(attacker(3), "third"));
    assert!(!queue.push(attacker(1), "attack"));
    assert_eq!(answer(&queue, SECOND), Some("second"));
    assert!(queue.push(attacker(1), "attack"));
    let (turn, job) = queue.next().unwrap();
    assert_eq!(job, "third");
    assert!(!queue.wants_the_turn_of(&turn.running(), long), "an honest one's is not ended");
    drop(turn);
    assert_eq!(answer(&queue, SECOND), Some("attack"));
}
