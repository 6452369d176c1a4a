//! The connection to a Redis, of one node or a cluster; the door of the client library.

use std::fmt;
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConnection, cluster_pipe};
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Client, Cmd, Connection, ConnectionLike as _, FromRedisValue as _, RedisError, Value};

use crate::error::{Error, ErrorKind};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How many keys a step of a scan looks at.
const SCAN_COUNT: u32 = 500;
/// The longest URL.
const MAX_URL_BYTES: usize = 4_096;

/// Which Redis, for messages: without user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    url: String,
    shown: String,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let refused = |why: &str| {
            Error::new(
                ErrorKind::Usage,
                format!(
                    "the URL of the Redis {why}; write it as redis://host:port/database, or unix:///path"
                ),
            )
        };
        if url.len() > MAX_URL_BYTES {
            return Err(refused("is too long"));
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refused("has no scheme"))?;
        if scheme == "rediss" || scheme == "valkeys" {
            return Err(refused(
                "asks for TLS, which this build does not speak (a tunnel such as stunnel does)",
            ));
        }
        // The library's message could have the password in it.
        Client::open(url).map_err(|_| refused("cannot be read"))?;
        let host = rest.split_once('?').map_or(rest, |(host, _)| host);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        Ok(Self { url: url.to_owned(), shown: format!("{scheme}://{host}") })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Nothing,
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

/// A node of a cluster, by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    host: String,
    port: u16,
}

/// A command: its words.
pub(super) type Words<'a> = Vec<&'a [u8]>;

/// An open connection. After a failure of the connection itself it is to be dropped.
pub(super) struct Link {
    address: Address,
    line: Line,
}

enum Line {
    Node(Box<Connection>),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    pub(super) fn open(address: &Address) -> Result<Self, Error> {
        let failed = |error| failure(address, error);
        let client = Client::open(address.url.as_str()).map_err(failed)?;
        let mut node = client.get_connection_with_timeout(CONNECT_LIMIT).map_err(failed)?;
        node.set_read_timeout(Some(ANSWER_LIMIT)).map_err(failed)?;
        node.set_write_timeout(Some(ANSWER_LIMIT)).map_err(failed)?;
        let about: String = redis::cmd("INFO").arg("cluster").query(&mut node).map_err(failed)?;
        let line = if about.lines().any(|line| line.trim_end() == "cluster_enabled:1") {
            let client = ClusterClient::builder([address.url.as_str()])
                .connection_timeout(CONNECT_LIMIT)
                .response_timeout(ANSWER_LIMIT)
                .build()
                .map_err(failed)?;
            Line::Cluster(Box::new(client.get_connection().map_err(failed)?))
        } else {
            Line::Node(Box::new(node))
        };
        Ok(Self { address: address.clone(), line })
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.line, Line::Cluster(_))
    }

    pub(super) fn call(&mut self, words: &Words<'_>) -> Result<Reply, Error> {
        let command = command(words);
        let answer = match &mut self.line {
            Line::Node(node) => node.req_command(&command),
            Line::Cluster(cluster) => cluster.req_command(&command),
        };
        answer.map_err(|error| failure(&self.address, error)).and_then(|value| self.reply(value))
    }

    /// The answers of several commands, in their order. Not as one: others may come between.
    pub(super) fn call_all(&mut self, all: &[Words<'_>]) -> Result<Vec<Reply>, Error> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let answers: Result<Vec<Value>, RedisError> = match &mut self.line {
            Line::Node(node) => {
                let mut pipe = redis::pipe();
                for words in all {
                    pipe.add_command(command(words));
                }
                pipe.query(node.as_mut())
            }
            Line::Cluster(cluster) => {
                let mut pipe = cluster_pipe();
                for words in all {
                    pipe.add_command(command(words));
                }
                pipe.query(cluster.as_mut())
            }
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) if is_passing(&error) => return Err(failure(&self.address, error)),
            // The library says of all of them what is wrong with one: alone it is seen with which.
            Err(error) => {
                for words in all {
                    self.call(words)
                        .map_err(|error| error.context(format_args!("the key {}", key_of(words))))?;
                }
                return Err(failure(&self.address, error));
            }
        };
        if answers.len() != all.len() {
            return Err(self.strange("answered fewer commands than it was given"));
        }
        answers.into_iter().map(|value| self.reply(value)).collect()
    }

    /// In a cluster, who has the slot of a prefix; a slot that is on its way to another node has none who has all of its keys.
    pub(super) fn owner(&mut self, prefix: &str) -> Result<String, Error> {
        let Line::Cluster(cluster) = &mut self.line else { return Ok(String::new()) };
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("KEYSLOT").arg(prefix);
        let anyone = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
        let found = cluster.route_command(&ask, anyone).and_then(|slot| {
            let slot = u16::from_redis_value(slot)?;
            let node = || {
                let route = Route::new(slot, SlotAddr::Master);
                RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route))
            };
            let id =
                String::from_redis_value(cluster.route_command(redis::cmd("CLUSTER").arg("MYID"), node())?)?;
            let nodes =
                String::from_redis_value(cluster.route_command(redis::cmd("CLUSTER").arg("NODES"), node())?)?;
            Ok((slot, id, nodes))
        });
        let (slot, id, nodes) = found.map_err(|error| failure(&self.address, error))?;
        if nodes.contains(&format!("[{slot}->-")) || nodes.contains(&format!("[{slot}-<-")) {
            return Err(self.strange(&format!("is moving the slot {slot}, which has keys of GitLab's, to another node; wait until that is done")));
        }
        Ok(id)
    }

    /// The nodes of a cluster that have slots.
    pub(super) fn masters(&mut self) -> Result<Vec<Node>, Error> {
        let nodes = self.call(&vec![b"CLUSTER", b"NODES"])?;
        let Reply::Bytes(nodes) = nodes else {
            return Err(self.strange("does not say who is in its cluster"));
        };
        let nodes = String::from_utf8_lossy(&nodes).into_owned();
        // An id, an address with the ports of clients and of the cluster, flags.
        let masters = nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter_map(|words| {
            let (address, flags) = (*words.get(1)?, *words.get(2)?);
            let is_master = flags.split(',').any(|flag| flag == "master") && !flags.contains("fail");
            let (host, port) = address.split('@').next()?.rsplit_once(':')?;
            let port = port.parse().ok()?;
            is_master.then(|| Node { host: host.to_owned(), port })
        });
        Ok(masters.collect())
    }

    /// A step of a scan over the keys that begin with `prefix`: the next cursor, and keys. In a cluster it is that of the node which has
    /// the prefix's slot.
    pub(super) fn scan(
        &mut self,
        cursor: u64,
        prefix: &str,
        at: Option<&Node>,
    ) -> Result<(u64, Vec<Vec<u8>>), Error> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(SCAN_COUNT);
        let answer = match &mut self.line {
            Line::Node(node) => node.req_command(&scan),
            Line::Cluster(cluster) if let Some(Node { host, port }) = at => {
                let route = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                cluster.route_command(&scan, RoutingInfo::SingleNode(route))
            }
            Line::Cluster(cluster) => {
                // All keys of a prefix are in one slot, since it is a hash tag.
                let mut ask = redis::cmd("CLUSTER");
                ask.arg("KEYSLOT").arg(prefix);
                let anyone = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                cluster.route_command(&ask, anyone).and_then(|slot| {
                    let route = Route::new(u16::from_redis_value(slot)?, SlotAddr::Master);
                    let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
                    cluster.route_command(&scan, node)
                })
            }
        };
        let value = answer.map_err(|error| failure(&self.address, error))?;
        match self.reply(value)? {
            Reply::List(parts) => match parts.as_slice() {
                [Reply::Bytes(next), Reply::List(keys)] => {
                    let next = std::str::from_utf8(next).ok().and_then(|next| next.parse().ok());
                    let keys = keys.iter().map(|key| match key {
                        Reply::Bytes(key) => Some(key.clone()),
                        _ => None,
                    });
                    next.zip(keys.collect())
                        .ok_or_else(|| self.strange("answered a scan with something else"))
                }
                _ => Err(self.strange("answered a scan with something else")),
            },
            _ => Err(self.strange("answered a scan with something else")),
        }
    }

    fn reply(&self, value: Value) -> Result<Reply, Error> {
        Ok(match value {
            Value::Nil => Reply::Nothing,
            Value::Int(number) => Reply::Number(number),
            Value::BulkString(bytes) => Reply::Bytes(bytes),
            Value::SimpleString(text) => Reply::Bytes(text.into_bytes()),
            Value::Okay => Reply::Bytes(b"OK".to_vec()),
            Value::Array(parts) | Value::Set(parts) => {
                Reply::List(parts.into_iter().map(|part| self.reply(part)).collect::<Result<_, _>>()?)
            }
            Value::Map(pairs) => {
                let parts = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                Reply::List(parts.map(|part| self.reply(part)).collect::<Result<_, _>>()?)
            }
            Value::ServerError(error) => {
                return Err(failure(&self.address, RedisError::from(error)));
            }
            _ => return Err(self.strange("answered in a form that nobody asked for")),
        })
    }

    /// What the other side said that it should not.
    pub(super) fn strange(&self, what: &str) -> Error {
        Error::new(ErrorKind::Redis, format!("{} {what}", self.address))
    }
}

fn command(words: &Words<'_>) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

/// The key that a command is about.
fn key_of(words: &Words<'_>) -> String {
    let place = if words.first().is_some_and(|command| *command == b"EVAL") { 3 } else { 1 };
    words.get(place).map_or_else(String::new, |key| key.escape_ascii().to_string())
}

/// Whether it may work a moment later, over another connection.
fn is_passing(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_cluster_error()
        || matches!(error.code(), Some("LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "MASTERDOWN" | "BUSY"))
}

/// Connections that fail are tried again by whoever can; what the server says is final.
fn failure(address: &Address, error: RedisError) -> Error {
    let detail = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    if is_passing(&error) {
        return Error::new(
            ErrorKind::Unreachable,
            format!("{address} cannot be reached ({detail}); see that it runs, and correct the URL"),
        );
    }
    let code = error.code().unwrap_or("ERR");
    let remedy = match code {
        "NOAUTH" | "WRONGPASS" | "NOPERM" => "; put user and password into the URL",
        "OOM" | "MISCONF" | "READONLY" => "; it takes no writes as it is",
        _ => "",
    };
    Error::new(ErrorKind::Redis, format!("{address} refuses: {code} {detail}{remedy}"))
}
