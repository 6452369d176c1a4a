//! A receiver of HTTP on loopback that does to each connection what its script says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arrived {
    pub(crate) line: String,
    /// With names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is done when a request has arrived whole.
#[derive(Clone)]
pub(crate) enum Reaction {
    /// These bytes are sent, and the connection is closed.
    Send(Vec<u8>),
    /// These bytes are sent, and then nothing, until the other side closes.
    Stall(Vec<u8>),
    /// These bytes are sent one by one, so many milliseconds apart, until the other side closes.
    Drip(Vec<u8>, u64),
    Call(Arc<dyn Fn(&mut TcpStream) + Send + Sync>),
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Reaction {
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    Reaction::Send([head.as_bytes(), body.as_bytes()].concat())
}

pub(crate) fn status(status: &str) -> Reaction {
    answer(status, "", "")
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Receiver {
    /// One reaction a connection, in order; the last one again and again.
    pub(crate) fn start(script: Vec<Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, arrived) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let receiver = Self { address, arrived: Arc::clone(&arrived) };
        // Ends with the test program.
        std::thread::spawn(move || {
            let last = script.last().unwrap().clone();
            for reaction in script.into_iter().chain(std::iter::repeat(last)) {
                let Ok((mut stream, _)) = listener.accept() else { return };
                if let Some(request) = read(&mut stream) {
                    arrived.lock().unwrap().push(request);
                    react(&reaction, &mut stream);
                }
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/usage_data", self.address)
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.arrived.lock().unwrap().len()
    }
}

/// `None` for a connection that ends in the middle.
pub(crate) fn read(stream: &mut impl Read) -> Option<Arrived> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        bytes.extend(&piece[..read]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let pair =
        |line: &str| line.split_once(':').map(|(key, value)| (key.to_lowercase(), value.trim().to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(pair).collect();
    let length = headers.iter().find(|(key, _)| key == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < head_end + length {
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        bytes.extend(&piece[..read]);
    }
    Some(Arrived { line, headers, body: bytes[head_end..].to_vec() })
}

/// The other side may close at any time.
fn react(reaction: &Reaction, stream: &mut TcpStream) {
    match reaction {
        Reaction::Send(bytes) => drop(stream.write_all(bytes)),
        Reaction::Stall(bytes) => {
            let _ = stream.write_all(bytes);
            until_closed(stream);
        }
        Reaction::Drip(bytes, pause) => {
            for byte in bytes {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(*pause));
            }
        }
        Reaction::Call(call) => call(stream),
    }
}

pub(crate) fn until_closed(stream: &mut TcpStream) {
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|read| read > 0) {}
}
