//! A local web server with scripted answers, for one connection at a time.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Longer than any client of a test waits. A client that never sends or reads is dropped then.
const PATIENCE: Duration = Duration::from_secs(20);

/// The answer for a path.
#[derive(Debug, Clone)]
pub enum Answer {
    Body(Vec<u8>),
    Status(u16),
    Redirect(String),
    /// Announces more than it sends.
    Truncated(Vec<u8>),
    /// Sends the head and this much of the body, then nothing until the client leaves.
    Stall(Vec<u8>),
    /// Announces nothing and sends until the client leaves.
    Endless,
    /// Announces this many bytes.
    Announced(u64),
    /// Accepts and sends nothing until the client leaves.
    Silence,
}

/// The server, which runs until it is dropped.
pub struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                // A client that leaves early is not an error of the server.
                let _ = stream.and_then(|stream| serve(stream, &answer, &log));
            }
        });
        Self { url, asked, stop, thread: Some(thread) }
    }

    /// The URL of the root, with a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requested paths, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let address = self.url.trim_start_matches("http://").trim_end_matches('/');
        let _ = TcpStream::connect(address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &impl Fn(&str) -> Answer,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let Some(request) = lines.next().transpose()? else { return Ok(()) };
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(path.clone());
    let mut head = |status: u16, more: &str| {
        write!(stream, "HTTP/1.1 {status} Test\r\nConnection: close\r\n{more}\r\n")
            .map(|()| stream.try_clone())?
    };
    match answer(&path) {
        Answer::Body(body) => head(200, &length(body.len()))?.write_all(&body),
        Answer::Status(code) => head(code, &length(0)).map(drop),
        Answer::Redirect(to) => head(302, &format!("Location: {to}\r\n{}", length(0))).map(drop),
        Answer::Truncated(body) => head(200, &length(body.len() + 100))?.write_all(&body),
        Answer::Stall(body) => {
            head(200, &length(body.len() + 100))?.write_all(&body)?;
            until_it_leaves(lines)
        }
        Answer::Endless => {
            let mut stream = head(200, "")?;
            loop {
                stream.write_all(&[0; 4096])?;
            }
        }
        Answer::Announced(bytes) => {
            head(200, &format!("Content-Length: {bytes}\r\n"))?;
            until_it_leaves(lines)
        }
        Answer::Silence => until_it_leaves(lines),
    }
}

fn length(bytes: usize) -> String {
    format!("Content-Length: {bytes}\r\n")
}

fn until_it_leaves(lines: impl Iterator<Item = std::io::Result<String>>) -> std::io::Result<()> {
    lines.for_each(drop);
    Ok(())
}
