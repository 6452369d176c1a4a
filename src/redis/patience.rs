//! A connection that is taken up again where it broke off.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::redis::link::{Address, Link};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Makes calls over a connection, and over another one if it fails, until the patience ends. What is called must do no harm twice.
pub(super) struct Patient {
    address: Address,
    link: Option<Link>,
    /// For how long an outage is waited for.
    patience: Duration,
    /// How often it was connected.
    pub(super) connections: u64,
}

impl Patient {
    /// Connects once: what cannot be reached at the beginning is probably a wrong URL.
    pub(super) fn connect(url: &str, patience: Duration) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        let link = Link::open(&address)?;
        Ok(Self { address, link: Some(link), patience, connections: 1 })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn call<T>(
        &mut self,
        mut call: impl FnMut(&mut Link) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut outage: Option<(Instant, Duration)> = None;
        loop {
            let error = match self.once(&mut call) {
                Err(error) if error.kind() == ErrorKind::Unreachable => error,
                done => return done,
            };
            self.link = None;
            let (began, wait) = outage.unwrap_or_else(|| (Instant::now(), FIRST_WAIT));
            if began.elapsed() + wait > self.patience {
                return Err(error);
            }
            std::thread::sleep(wait);
            outage = Some((began, (wait * 2).min(LONGEST_WAIT)));
        }
    }

    fn once<T>(&mut self, call: &mut impl FnMut(&mut Link) -> Result<T, Error>) -> Result<T, Error> {
        let link = match &mut self.link {
            Some(link) => link,
            None => {
                self.connections += 1;
                self.link.insert(Link::open(&self.address)?)
            }
        };
        call(link)
    }
}
