//! iceoryx2: publishers and subscribers, one for each direction, with listeners that sleep or with polling. Queues are full rather
//! than overwritten; what is sent is written into shared memory, what arrives is looked at there.

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::ends::{End, Kind};

pub struct Iceoryx {
    publisher: Publisher<ipc::Service, [u8], ()>,
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    events: Option<(Notifier<ipc::Service>, Listener<ipc::Service>)>,
    _node: Node<ipc::Service>,
}

impl Iceoryx {
    pub fn new(name: &str, first: bool, kind: &Kind, events: bool) -> Self {
        let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
        let named = |way: &str| ServiceName::new(&format!("{name}/{way}")).expect("a name");
        let (out, input) = if first { ("there", "back") } else { ("back", "there") };
        let messages = |way: &str| {
            node.service_builder(&named(way))
                .publish_subscribe::<[u8]>()
                .max_publishers(1)
                .max_subscribers(1)
                .enable_safe_overflow(false)
                .history_size(0)
                .subscriber_max_borrowed_samples(1)
                .subscriber_max_buffer_size(kind.room())
                .open_or_create()
                .expect("a service")
        };
        let told = |way: &str| node.service_builder(&named(way)).event().open_or_create().expect("events");
        Iceoryx {
            publisher: messages(out)
                .publisher_builder()
                .initial_max_slice_len(kind.longest)
                .max_loaned_samples(1)
                .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
                .create()
                .expect("a publisher"),
            subscriber: messages(input).subscriber_builder().create().expect("a subscriber"),
            events: events.then(|| {
                (
                    told(out).notifier_builder().create().expect("a notifier"),
                    told(input).listener_builder().create().expect("a listener"),
                )
            }),
            _node: node,
        }
    }
}

impl End for Iceoryx {
    fn send(&mut self, data: &[u8]) {
        let sample = self.publisher.loan_slice_uninit(data.len()).expect("memory");
        assert_eq!(sample.write_from_slice(data).send().expect("room"), 1, "the other process listens");
        if let Some((notifier, _)) = &self.events {
            notifier.notify().expect("a listener");
        }
    }

    fn receive(&mut self, _len: usize, look: &mut dyn FnMut(&[u8])) {
        loop {
            if let Some(sample) = self.subscriber.receive().expect("no failure") {
                return look(sample.payload());
            }
            match &self.events {
                Some((_, listener)) => {
                    listener.blocking_wait(|_| {}).expect("a wait");
                }
                None => std::hint::spin_loop(),
            }
        }
    }
}
