// Mistakes that must be found, as changes to the sources: the file, what stands there once, and what is put in its place, where
// MISTAKEN asks whether this mistake is the one to be made. Included by `build.rs` and by the binary that looks for them.

pub struct Mutant {
    pub name: &'static str,
    /// The scenario that must find it.
    #[allow(dead_code)]
    pub scenario: &'static str,
    #[allow(dead_code)]
    pub changes: &'static [(&'static str, &'static str, &'static str)],
}

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "closed is set after the last buffers are taken",
        scenario: "closing_beside_everything",
        changes: &[
            (
                "ingest/pipeline.rs",
                "self.shared.closed.store(true, Ordering::Release);",
                "if !MISTAKEN { self.shared.closed.store(true, Ordering::Release); }",
            ),
            (
                "ingest/pipeline.rs",
                "let stats = self.shared.stats();\n        let (failure, abandoned)",
                "if MISTAKEN { self.shared.closed.store(true, Ordering::Release); }\n        let stats = self.shared.stats();\n        let (failure, abandoned)",
            ),
        ],
    },
    Mutant {
        name: "a flush takes the queue before the buffers",
        scenario: "flushing_beside_tracking",
        changes: &[(
            "ingest/engine.rs",
            "let waiting = &mut self.waiting;",
            "if MISTAKEN { while self.absorb_next(shared) {} }\n        let waiting = &mut self.waiting;\n        let mistaken = MISTAKEN;",
        ), (
            "ingest/engine.rs",
            "for _ in 0..self.waiting.len() + shared.queue.len() {",
            "for _ in 0..self.waiting.len() + if mistaken { 0 } else { shared.queue.len() } {",
        )],
    },
    Mutant {
        name: "a ticket is read after the buffers are taken",
        scenario: "flushing_beside_tracking",
        changes: &[(
            "ingest/threads.rs",
            "self.last_cut = cut;",
            "self.last_cut = cut;\n        let ticket = if MISTAKEN { self.shared.requested().0 } else { ticket };",
        )],
    },
    Mutant {
        name: "events are counted as stored before they are committed",
        scenario: "flushing_beside_tracking",
        changes: &[
            (
                "ingest/threads.rs",
                "in_flight.attempt = attempt;",
                "in_flight.attempt = attempt;\n        if MISTAKEN { engine::settle(&self.shared, &in_flight.batch); }",
            ),
            (
                "ingest/threads.rs",
                "engine::settle(&self.shared, &in_flight.batch);\n                        self.shared.covered",
                "if !MISTAKEN { engine::settle(&self.shared, &in_flight.batch); }\n                        self.shared.covered",
            ),
        ],
    },
    Mutant {
        name: "a batch that is tried again gets a new number",
        scenario: "a_failing_committer_heals",
        changes: &[(
            "ingest/threads.rs",
            "in_flight.asked = requested;\n        self.submit();",
            "in_flight.asked = requested;\n        if MISTAKEN { Arc::make_mut(&mut in_flight.batch).sequence += 1_000; }\n        self.submit();",
        )],
    },
    Mutant {
        name: "a caller looks whether the store is closed before it has its buffer",
        scenario: "closing_beside_everything",
        changes: &[(
            "ingest/tracker.rs",
            "if let Some(mut buffer) = self.buffers.mine().and_then(Mutex::try_lock)\n            && !self.closed.load(Ordering::Relaxed)",
            "let before = self.closed.load(Ordering::Relaxed);\n        if let Some(mut buffer) = self.buffers.mine().and_then(Mutex::try_lock)\n            && !(if MISTAKEN { before } else { self.closed.load(Ordering::Relaxed) })",
        )],
    },
    Mutant {
        name: "the aggregator looks at the queue before it says that it sleeps",
        scenario: "a_filling_queue_wakes_the_aggregator",
        changes: &[(
            "ingest/threads.rs",
            "self.shared.asleep.store(true, Ordering::SeqCst);",
            "if MISTAKEN {\n            let is_pressing = self.shared.queue.is_pressing();\n            self.shared.asleep.store(true, Ordering::SeqCst);\n            if !is_pressing { thread::park_timeout(self.idle); }\n            self.shared.asleep.store(false, Ordering::SeqCst);\n            return;\n        }\n        self.shared.asleep.store(true, Ordering::SeqCst);",
        )],
    },
    Mutant {
        name: "a caller looks for room before it says that it waits",
        scenario: "callers_wait_for_room",
        changes: &[(
            "ingest/queue.rs",
            "let mut waiting = self.waiting.lock();\n        *waiting += 1;\n        if self.full.0.is_full() {",
            "let before = self.full.0.is_full();\n        let mut waiting = self.waiting.lock();\n        *waiting += 1;\n        if if MISTAKEN { before } else { self.full.0.is_full() } {",
        )],
    },
    Mutant {
        name: "without threads a full buffer is taken before the pipeline is locked",
        scenario: "without_threads",
        changes: &[(
            "ingest/tracker.rs",
            "drop(buffer);\n        let mut inline = inline.lock();",
            "let mut buffer = buffer;\n        let early = MISTAKEN.then(|| std::mem::replace(&mut buffer.records, self.queue.empty_buffer()));\n        drop(buffer);\n        let mut inline = inline.lock();\n        if let Some(full) = early { inline.absorb(self, full); }",
        )],
    },
    Mutant {
        name: "the aggregator stays awake before a queue that has to wait",
        scenario: "a_hanging_disk_lets_the_aggregator_sleep",
        changes: &[(
            "ingest/threads.rs",
            "let is_held_up = self.is_held_up();",
            "let is_held_up = self.is_held_up() && !MISTAKEN;",
        )],
    },
    Mutant {
        name: "what is given up forgets the batch in flight",
        scenario: "closing_beside_everything",
        changes: &[(
            "ingest/threads.rs",
            "let in_flight = self.in_flight.take().map_or(0,",
            "let in_flight = self.in_flight.take().filter(|_| !MISTAKEN).map_or(0,",
        )],
    },
];
