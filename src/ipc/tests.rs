//! Two ends in one process.

use std::os::fd::IntoRawFd;
use std::thread;

use super::frame::USER;
use super::*;
use crate::error::{Failure, Status};
use crate::platform::clock::now_ns;
use crate::sync::interrupt::Thread;

const FOREVER: i64 = i64::MAX;

pub fn head(id: u64) -> Head {
    Head { kind: USER, flags: 5, id }
}

pub fn ends(options: Options) -> [Link; 2] {
    let (near, far) = pair(options).unwrap();
    // SAFETY: just made, and given away.
    let far = unsafe { Link::adopt(far.into_raw_fd()) }.unwrap();
    assert_eq!(near.transport(), far.transport());
    [near, far]
}

/// Both transports, with the smallest ring.
pub fn both() -> [Options; 2] {
    [Transport::Shared, Transport::Socket].map(|transport| Options { transport, ring: 1, ..Options::default() })
}

pub fn send(link: &Link, id: u64, data: &[u8], timeout_ns: i64) -> crate::error::Result<()> {
    link.send(head(id), data, &Patience::new(timeout_ns))
}

pub fn receive(link: &Link, timeout_ns: i64) -> crate::error::Result<(u64, Vec<u8>)> {
    let frame = link.receive(&Patience::new(timeout_ns))?;
    assert_eq!(frame.head, head(frame.head.id));
    Ok((frame.head.id, frame.bytes.as_slice().to_vec()))
}

fn fails<T: std::fmt::Debug>(result: crate::error::Result<T>, status: Status) -> Failure {
    let failure = result.unwrap_err();
    assert!(failure.is(status), "{failure:?}, not {status:?}");
    failure
}

fn filled(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + len) as u8).collect()
}

#[test]
fn frames_of_every_size_come_as_they_went() {
    for options in both() {
        let [near, far] = ends(options);
        for len in [0, 1, 7, 8, 96, 97, 1000, 1024, 1025, 4096, 32 << 10, 100_000, 1 << 20] {
            let data = filled(len);
            thread::scope(|scope| {
                scope.spawn(|| send(&near, len as u64, &data, FOREVER).unwrap());
                assert_eq!(receive(&far, FOREVER).unwrap(), (len as u64, data.clone()));
                scope.spawn(|| send(&far, len as u64, &data, FOREVER).unwrap());
                assert_eq!(receive(&near, FOREVER).unwrap(), (len as u64, data.clone()));
            });
        }
        let (near, far) = (near.stats(), far.stats());
        assert_eq!((near.sent.frames, near.received.frames), (13, 13));
        assert_eq!((far.sent.bytes, far.received.bytes), (near.received.bytes, near.sent.bytes));
    }
}

#[test]
fn what_may_not_wait_does_not() {
    for options in both() {
        let [near, far] = ends(options);
        fails(receive(&far, 0), Status::WouldBlock);
        fails(receive(&far, 1), Status::Timeout);
        let mut sent = 0;
        let failure = loop {
            match send(&near, sent, &[7; 500], 0) {
                Ok(()) => sent += 1,
                Err(failure) => break failure,
            }
        };
        assert!(failure.is(Status::WouldBlock) && sent > 0);
        fails(send(&near, sent, &[7; 500], 1), Status::Timeout);
        // Larger than what there is at all.
        fails(send(&near, sent, &vec![7; 1 << 20], 0), Status::WouldBlock);
        (0..sent).for_each(|id| assert_eq!(receive(&far, 0).unwrap(), (id, vec![7; 500])));
        fails(receive(&far, 0), Status::WouldBlock);
    }
}

#[test]
fn a_frame_that_is_given_up_in_the_middle_is_not_received() {
    for options in both() {
        let [near, far] = ends(options);
        fails(send(&near, 1, &vec![7; 1 << 20], 1_000_000), Status::Timeout);
        // What was sent of it is in the way, until somebody looks.
        thread::scope(|scope| {
            scope.spawn(|| send(&near, 2, b"after it", FOREVER).unwrap());
            assert_eq!(receive(&far, FOREVER).unwrap(), (2, b"after it".to_vec()));
        });
        assert_eq!((near.stats().sent.frames, far.stats().received.frames), (1, 1));
    }
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    for options in both() {
        for dies in [false, true] {
            let (near, far) = pair(options).unwrap();
            let far = far.into_raw_fd();
            // SAFETY: just made, and given away.
            let far = unsafe { Link::adopt(far) }.unwrap();
            (0..3).for_each(|id| send(&far, id, &[1; 100], FOREVER).unwrap());
            // Read, so that nothing is left of the other direction.
            send(&near, 9, &[], FOREVER).unwrap();
            receive(&far, FOREVER).unwrap();
            if dies {
                far.die();
            } else {
                far.close();
                fails(send(&far, 1, &[], 0), Status::Closed);
                fails(receive(&far, 0), Status::Closed);
                drop(far);
            }
            (0..3).for_each(|id| assert_eq!(receive(&near, FOREVER).unwrap().0, id));
            let status = if dies { Status::Died } else { Status::Closed };
            for timeout in [0, 1_000_000_000, FOREVER] {
                fails(receive(&near, timeout), status);
                fails(send(&near, 1, &vec![0; 1 << 20], timeout), status);
            }
        }
    }
}

/// Who finds room and does not wait for anything learns of the end from the reactor.
#[test]
fn a_sender_with_room_learns_of_the_end() {
    for options in both() {
        for dies in [false, true] {
            let [near, far] = ends(options);
            if dies {
                far.die();
            } else {
                drop(far);
            }
            while near.wire.gone().is_none() {
                thread::yield_now();
            }
            fails(send(&near, 1, &[], FOREVER), if dies { Status::Died } else { Status::Closed });
        }
    }
}

/// A death with something unread on either side is one, too.
#[test]
fn what_the_dead_peer_had_not_read_does_not_matter() {
    for options in both() {
        let [near, far] = ends(options);
        send(&near, 1, &[1; 100], FOREVER).unwrap();
        send(&far, 2, &[2; 100], FOREVER).unwrap();
        far.die();
        assert_eq!(receive(&near, FOREVER).unwrap(), (2, vec![2; 100]));
        fails(receive(&near, FOREVER), Status::Died);
    }
}

/// Everything that ends a wait from outside, for a receiver and for a sender that has filled the link.
#[test]
fn waits_end() {
    type End = fn(&Link, Option<Link>, &Thread);
    let ways: [(End, Status); 4] = [
        (|near, _far, _| near.close(), Status::Closed),
        (|_, far, _| far.unwrap().close(), Status::Closed),
        (|_, far, _| far.unwrap().die(), Status::Died),
        (|_, _far, thread| thread.interrupt(), Status::Interrupted),
    ];
    for options in both() {
        for (end, status) in ways {
            for sends in [false, true] {
                let [near, far] = ends(options);
                if sends {
                    while send(&near, 1, &[1; 900], 0).is_ok() {}
                }
                let waits = |link: &Link| {
                    let stats = link.stats();
                    if sends { stats.sent.waits } else { stats.received.waits }
                };
                thread::scope(|scope| {
                    let (tell, told) = std::sync::mpsc::channel();
                    let near = &near;
                    let waiter = scope.spawn(move || {
                        tell.send(Thread::current()).unwrap();
                        if sends { send(near, 2, &[1; 900], FOREVER) } else { receive(near, FOREVER).map(|_| ()) }
                    });
                    let thread = told.recv().unwrap();
                    // Asleep, or about to be: it must end in either case.
                    while waits(near) == 0 {
                        thread::yield_now();
                    }
                    end(near, Some(far), &thread);
                    fails(waiter.join().unwrap(), status);
                });
            }
        }
    }
}

/// Both send more than fits, and receive only when they have sent all.
#[test]
fn two_senders_get_on() {
    for options in both() {
        let [near, far] = ends(options);
        let data = filled(50_000);
        thread::scope(|scope| {
            for link in [&near, &far] {
                let data = &data;
                scope.spawn(move || {
                    (0..20).for_each(|id| send(link, id, data, FOREVER).unwrap());
                    (0..20).for_each(|id| assert_eq!(receive(link, FOREVER).unwrap(), (id, data.clone())));
                    fails(receive(link, 0), Status::WouldBlock);
                });
            }
        });
    }
}

/// A receiver that has its frame and goes leaves taking in to the sender that waits.
#[test]
fn a_sender_takes_in_what_a_receiver_leaves() {
    for options in both() {
        let [near, far] = ends(options);
        thread::scope(|scope| {
            let one = scope.spawn(|| receive(&near, FOREVER).unwrap().0);
            let others = scope.spawn(|| {
                (0..200).for_each(|id| send(&near, id, &[1; 900], FOREVER).unwrap());
                (0..199).map(|_| receive(&near, FOREVER).unwrap().0).collect::<Vec<_>>()
            });
            (0..200).for_each(|id| send(&far, id, &[2; 900], FOREVER).unwrap());
            (0..200).for_each(|id| assert_eq!(receive(&far, FOREVER).unwrap().0, id));
            let (one, others) = (one.join().unwrap(), others.join().unwrap());
            assert!((0..200).filter(|&id| id != one).eq(others));
        });
    }
}

#[test]
fn the_backlog_ends() {
    for options in both() {
        let [near, far] = ends(Options { backlog: 10_000, ..options });
        while send(&far, 1, &[1; 900], 0).is_ok() {}
        // It waits for room and takes in what the other has sent.
        fails(send(&near, 1, &vec![1; 1 << 20], 1_000_000), Status::Timeout);
        thread::scope(|scope| {
            let far = &far;
            let sender = scope.spawn(move || {
                let mut sent = 0;
                while send(far, 1, &[1; 900], 1_000_000).is_ok() {
                    sent += 1;
                    assert!(sent < 1000, "taken in without end");
                }
            });
            let deadline = now_ns() + 3_000_000_000;
            while !sender.is_finished() && now_ns() < deadline {
                let _ = send(&near, 1, &vec![1; 1 << 20], 1_000_000);
            }
            sender.join().unwrap();
        });
    }
}

#[test]
fn any_number_of_threads() {
    for options in both() {
        let [near, far] = ends(options);
        let got: Vec<u64> = thread::scope(|scope| {
            for thread in 0..3 {
                let near = &near;
                scope.spawn(move || {
                    for id in 0..300 {
                        send(near, thread * 1000 + id, &vec![id as u8; (id % 40 * 100) as usize], FOREVER).unwrap();
                    }
                });
            }
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let receive = |_| {
                            let (id, data) = receive(&far, FOREVER).unwrap();
                            assert_eq!(data, vec![(id % 1000) as u8; (id % 1000 % 40 * 100) as usize]);
                            id
                        };
                        let ids: Vec<u64> = (0..300).map(receive).collect();
                        for thread in 0..3 {
                            assert!(ids.iter().filter(|&id| id / 1000 == thread).is_sorted());
                        }
                        ids
                    })
                })
                .collect();
            receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect()
        });
        let mut got = got;
        got.sort_unstable();
        assert!(got.into_iter().eq((0..3).flat_map(|thread| (0..300).map(move |id| thread * 1000 + id))));
    }
}

#[test]
fn looking_is_for_the_trusted() {
    for options in both() {
        let [near, far] = ends(options);
        fails(near.peek(&Patience::new(0)).map(|_| ()), Status::Unsupported);
        drop(far);
        let [near, far] = ends(Options { trusted: true, ..options });
        fails(far.consume(), Status::Invalid);
        for len in [0, 10, 1500, 100_000] {
            let data = filled(len);
            thread::scope(|scope| {
                scope.spawn(|| send(&near, len as u64, &data, FOREVER).unwrap());
                let view = far.peek(&Patience::new(FOREVER)).unwrap();
                // SAFETY: good until it is consumed.
                let bytes = unsafe { std::slice::from_raw_parts(view.data, view.len) };
                assert!((view.head, bytes) == (head(len as u64), &data));
                fails(far.peek(&Patience::new(0)).map(|_| ()), Status::Busy);
                fails(receive(&far, 0), Status::Busy);
                far.consume().unwrap();
                fails(far.consume(), Status::Invalid);
            });
        }
        near.close();
        fails(far.peek(&Patience::new(FOREVER)).map(|_| ()), Status::Closed);
    }
}

/// A frame that is being looked at does not hide what comes behind it.
#[test]
fn a_close_behind_a_frame_that_is_looked_at() {
    for options in both() {
        let [near, far] = ends(Options { trusted: true, ..options });
        send(&far, 1, &[1; 100], FOREVER).unwrap();
        let view = near.peek(&Patience::new(FOREVER)).unwrap();
        far.close();
        // It finds room at first.
        let failure = (0..100_000).find_map(|id| send(&near, id, &[2; 900], FOREVER).err()).unwrap();
        assert!(failure.is(Status::Closed), "{failure:?}");
        // SAFETY: good until it is consumed.
        assert_eq!(unsafe { std::slice::from_raw_parts(view.data, view.len) }, [1; 100]);
        near.consume().unwrap();
        fails(receive(&near, FOREVER), Status::Closed);
    }
}

/// The system may have less room for packets than packets are long.
#[test]
fn large_frames_through_a_socket_with_little_room() {
    let (near, far) = pair(Options { transport: Transport::Socket, ..Options::default() }).unwrap();
    let (little, len): (libc::c_int, _) = (1, size_of::<libc::c_int>() as libc::socklen_t);
    let far = far.into_raw_fd();
    // SAFETY: a number and its length; the descriptor was just made, and is given away.
    let far = unsafe {
        assert_eq!(libc::setsockopt(far, libc::SOL_SOCKET, libc::SO_SNDBUF, (&raw const little).cast(), len), 0);
        Link::adopt(far).unwrap()
    };
    for len in [100, 1000, 5000, 1 << 20] {
        let data = filled(len);
        thread::scope(|scope| {
            scope.spawn(|| send(&far, len as u64, &data, FOREVER).unwrap());
            assert_eq!(receive(&near, FOREVER).unwrap(), (len as u64, data.clone()));
        });
    }
}

#[test]
fn the_descriptor_says_whether_there_is_something() {
    fn readable(fd: i32) -> bool {
        let mut wishes = [crate::platform::socket::wish(fd, crate::platform::socket::READABLE)];
        crate::platform::socket::wait(&mut wishes, Some(0));
        wishes[0].revents != 0
    }
    for options in both() {
        let [near, far] = ends(options);
        send(&near, 0, &[], FOREVER).unwrap();
        let fd = far.descriptor().unwrap();
        assert_eq!(far.descriptor().unwrap(), fd);
        for round in 0..3 {
            assert!(readable(fd));
            receive(&far, 0).unwrap();
            assert!(!readable(fd));
            (0..2).for_each(|id| send(&near, id, &[], FOREVER).unwrap());
            assert!(readable(fd));
            receive(&far, 0).unwrap();
            assert!(readable(fd), "in round {round}");
        }
        receive(&far, 0).unwrap();
        // A sender that waits takes frames in: they are told of.
        while send(&far, 1, &[1; 900], 0).is_ok() {}
        send(&near, 1, &[], FOREVER).unwrap();
        fails(send(&far, 1, &[1; 900], 1_000_000), Status::Timeout);
        assert!(readable(fd));
        receive(&far, 0).unwrap();
        assert!(!readable(fd));
        near.die();
        assert!(readable(fd));
        fails(receive(&far, 0), Status::Died);
        assert!(readable(fd));
    }
}

#[test]
fn a_descriptor_that_is_no_far_end_is_refused() {
    let adopt = |fd| {
        // SAFETY: it is not taken.
        unsafe { Link::adopt(fd) }.map(|_| ()).unwrap_err()
    };
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    for fd in [-1, i32::MAX, std::os::fd::AsRawFd::as_raw_fd(&file)] {
        assert!(adopt(fd).is(Status::Invalid));
    }
    let [one, other] = crate::platform::socket::pair().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&one);
    assert!(adopt(fd).is(Status::Invalid));
    for packet in [&b"hello"[..], &[0; 48], &[0; 100]] {
        crate::platform::socket::send(&other, &[std::io::IoSlice::new(packet)], None).unwrap();
        assert!(adopt(fd).is(Status::Protocol));
    }
    assert!(pair(Options { ring: usize::MAX, ..Options::default() }).is_err());
}

/// Where it is told behind what was sent, there is room for it however full the link is.
#[test]
fn the_end_of_a_full_link_is_told() {
    for options in both() {
        let [near, far] = ends(options);
        let mut sent = 0;
        while send(&near, sent, &[1; 50], 0).is_ok() {
            sent += 1;
        }
        near.close();
        (0..sent).for_each(|id| assert_eq!(receive(&far, 0).unwrap().0, id));
        fails(receive(&far, FOREVER), Status::Closed);
    }
}

/// A receiver that comes, waits and goes leaves taking in to the sender that slept before.
#[test]
fn a_sender_is_told_after_a_receiver_has_given_up() {
    for options in both() {
        let [near, far] = ends(options);
        thread::scope(|scope| {
            let near = &near;
            while send(near, 0, &[1; 900], 0).is_ok() {}
            let sender = scope.spawn(|| send(near, 1, &[1; 900], FOREVER));
            while !near.sleepers[super::sleep::SENDER].is_asleep() {
                thread::yield_now();
            }
            (0..5).for_each(|_| drop(fails(receive(near, 200_000), Status::Timeout)));
            // Many times what the link holds: it goes because somebody takes it in.
            let end = now_ns() + 60_000_000_000;
            let mut left = 2000;
            while left > 0 && now_ns() < end {
                match send(&far, 2, &[2; 900], 0) {
                    Ok(()) => left -= 1,
                    Err(_) => thread::yield_now(),
                }
            }
            far.close();
            assert!(sender.join().unwrap().is_err());
            assert_eq!(left, 0, "nobody takes in");
        });
    }
}
