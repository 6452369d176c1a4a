//! The way of the blocks through the parser: on a thread of its own where the source is longer than one block.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::error::{Error, ErrorKind};
use crate::ingest::import::parse::{Parser, Work};

/// As many blocks as make a piece: while one is committed the next is parsed. A block has less than 256 KiB and one line more,
/// which may be as long again: with up to 512 KiB each, and their records, this bounds the memory of an import.
const BLOCKS: usize = 64;

/// Blocks on their way: free, at the parser, parsed. They come back in the order in which they went.
pub(crate) struct Lane<'scope> {
    parser: Parser,
    thread: Option<Thread<'scope>>,
    made: usize,
    at_thread: usize,
    free: Vec<Work>,
    parsed: VecDeque<Work>,
}

/// The number of blocks bounds both channels.
struct Thread<'scope> {
    to: Sender<Work>,
    from: Receiver<Work>,
    handle: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Lane<'scope> {
    pub(crate) fn new(parser: Parser) -> Self {
        Self { parser, thread: None, made: 0, at_thread: 0, free: Vec::new(), parsed: VecDeque::new() }
    }

    /// Parses on a thread from now on. Where the system has none to give, it goes on as before.
    pub(crate) fn start<'env>(&mut self, scope: &'scope Scope<'scope, 'env>) {
        let (to, inbox) = channel::<Work>();
        let (outbox, from) = channel();
        let parser = self.parser.clone();
        let run = move || {
            while let Ok(mut work) = inbox.recv() {
                parser.parse(&mut work);
                if outbox.send(work).is_err() {
                    break;
                }
            }
        };
        let handle = Builder::new().name("headcount-import".to_owned()).spawn_scoped(scope, run);
        self.thread = handle.ok().map(|handle| Thread { to, from, handle });
    }

    /// A block to fill, unless all are on their way.
    pub(crate) fn free(&mut self) -> Option<Work> {
        self.free.pop().or_else(|| {
            let is_left = self.made < if self.thread.is_some() { BLOCKS } else { 1 };
            self.made += usize::from(is_left);
            is_left.then(Work::default)
        })
    }

    pub(crate) fn give_back(&mut self, work: Work) {
        self.free.push(work);
    }

    /// Hands a block to the parser.
    pub(crate) fn submit(&mut self, mut work: Work) -> Result<(), Error> {
        match &self.thread {
            Some(thread) => {
                thread.to.send(work).map_err(|_| ended())?;
                self.at_thread += 1;
            }
            None => {
                self.parser.parse(&mut work);
                self.parsed.push_back(work);
            }
        }
        Ok(())
    }

    /// Parses a block here, and puts it in front.
    pub(crate) fn parse_again(&mut self, mut work: Work) {
        self.parser.parse(&mut work);
        self.parsed.push_front(work);
    }

    /// The next block that is parsed, if it is now.
    pub(crate) fn parsed(&mut self) -> Result<Option<Work>, Error> {
        if let (true, Some(thread)) = (self.parsed.is_empty(), &self.thread) {
            match thread.from.try_recv() {
                Ok(work) => {
                    self.at_thread -= 1;
                    return Ok(Some(work));
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(ended()),
            }
        }
        Ok(self.parsed.pop_front())
    }

    /// The next block that is parsed, when it is; `None` when none is on its way.
    pub(crate) fn next(&mut self) -> Result<Option<Work>, Error> {
        if self.parsed.is_empty() && self.at_thread > 0 {
            self.receive()?;
        }
        Ok(self.parsed.pop_front())
    }

    /// Waits until all blocks that are on their way are parsed, and lends them.
    pub(crate) fn all(&mut self) -> Result<&mut VecDeque<Work>, Error> {
        while self.at_thread > 0 {
            self.receive()?;
        }
        Ok(&mut self.parsed)
    }

    fn receive(&mut self) -> Result<(), Error> {
        if let Some(thread) = &self.thread {
            self.parsed.push_back(thread.from.recv().map_err(|_| ended())?);
            self.at_thread -= 1;
        }
        Ok(())
    }

    /// Ends the thread; what is still on its way is lost.
    pub(crate) fn end(self) {
        if let Some(Thread { to, from, handle }) = self.thread {
            drop((to, from));
            // A panic of it was reported where its blocks were missed.
            let _ = handle.join();
        }
    }
}

#[cold]
fn ended() -> Error {
    Error::new(ErrorKind::Internal, "the thread that parses lines has ended; import it again to continue")
}
