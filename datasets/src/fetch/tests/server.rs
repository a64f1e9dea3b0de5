//! A web server on 127.0.0.1 that misbehaves as told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with one request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Serves the file, ranges included.
    Serve,
    /// Promises the whole rest, sends so many bytes of it and hangs up.
    BreakAfter(usize),
    /// Ignores `Range`.
    Whole,
    /// Answers any range with one that starts a byte later.
    OtherRange,
    /// Sends no length, and garbage after the file.
    Overlong,
    /// Promises the right length, and sends garbage after it.
    Chatty,
    /// Promises so many bytes more than it has, then hangs up.
    Boast(usize),
    /// An error status.
    Status(u16),
}

/// A request that came: its path, and where its `Range` starts.
pub type Seen = (String, Option<usize>);

pub struct Server {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves `data` under every path. Requests are met by `acts` in order, the last one repeating.
    pub fn start(data: Vec<u8>, acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let act = acts[count.min(acts.len() - 1)];
                // A client that hangs up early is part of the game.
                let _ = answer(stream.unwrap(), &data, act, &log);
            }
        });
        Server { address, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    data: &[u8],
    act: Act,
    log: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let (path, range) = request(&stream)?;
    log.lock().unwrap().push((path, range));
    let start = if matches!(act, Act::Whole) { 0 } else { range.unwrap_or(0) };
    if start >= data.len() && start > 0 {
        return write!(
            stream,
            "HTTP/1.1 416 No\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\nConnection: \
             close\r\n\r\n",
            data.len()
        );
    }
    let rest = &data[start..];
    match act {
        Act::Serve | Act::Whole => respond(&mut stream, data.len(), start, rest.len(), rest),
        Act::BreakAfter(bytes) => {
            respond(&mut stream, data.len(), start, rest.len(), &rest[..bytes.min(rest.len())])
        }
        Act::OtherRange => respond(&mut stream, data.len(), start + 1, rest.len() - 1, &rest[1..]),
        Act::Boast(more) => respond(&mut stream, data.len() + more, start, rest.len() + more, rest),
        Act::Chatty => {
            respond(&mut stream, data.len(), start, rest.len(), &[rest, b"garbage"].concat())
        }
        Act::Overlong => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(rest)?;
            stream.write_all(&[7; 100_000])
        }
        Act::Status(code) => {
            write!(stream, "HTTP/1.1 {code} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
    }
}

fn respond(
    to: &mut TcpStream,
    total: usize,
    start: usize,
    length: usize,
    body: &[u8],
) -> std::io::Result<()> {
    let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", total.saturating_sub(1));
    let (status, range) =
        if start == 0 { ("200 OK", "") } else { ("206 Partial Content", range.as_str()) };
    write!(
        to,
        "HTTP/1.1 {status}\r\n{range}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    to.write_all(body)
}

fn request(stream: &TcpStream) -> std::io::Result<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_string();
    let mut range = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(from) = line.strip_prefix("range: bytes=") {
            range = from.trim_end_matches('-').parse().ok();
        }
    }
    Ok((path, range))
}
