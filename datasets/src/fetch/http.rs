//! One HTTP request for the rest of a file.

use std::io::Read;
use std::time::Duration;

use ureq::http::{Response, header};
use ureq::{Agent, Body};

/// Why a request did not serve.
#[derive(Debug)]
pub(super) enum HttpError {
    /// Asking again may help.
    Temporary(String),
    /// It will not.
    Permanent(String),
    /// What was there so far does not belong to this file: start over.
    Stale(String),
}

/// An answer that continues the file.
pub(super) struct Answer {
    /// Where in the file the body starts: the offset asked for, or 0 where the server does not
    /// resume.
    pub start: u64,
    /// Size of the whole file, where the server says it.
    pub total: Option<u64>,
    pub body: Box<dyn Read>,
}

/// What the server said to a request for bytes from an offset on.
pub(super) enum Reply {
    Body(Answer),
    /// There is nothing beyond the offset: the file was whole.
    Complete,
}

pub(super) fn agent(url: &str) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        // An address that begins safely leads nowhere unsafe; a mirror may be a plain one.
        .https_only(url.starts_with("https://"))
        .user_agent(concat!("bench/", env!("CARGO_PKG_VERSION")))
        // The file's own bytes are wanted, whose checksum is known.
        .accept_encoding("identity")
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)));
    if is_loopback(url) {
        config = config.proxy(None);
    }
    config.build().new_agent()
}

fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}

/// Asks for `url` from byte `offset` on.
///
/// # Errors
/// No connection, a status other than success, or a range other than the one asked for.
pub(super) fn ask(agent: &Agent, url: &str, offset: u64) -> Result<Reply, HttpError> {
    let mut request = agent.get(url);
    if offset > 0 {
        request = request.header(header::RANGE, format!("bytes={offset}-"));
    }
    let response = request.call().map_err(classify)?;
    match response.status().as_u16() {
        200 => Ok(Reply::Body(Answer { start: 0, total: length(&response), body: body(response) })),
        206 => partial(response, offset),
        416 if content_range(&response).is_some_and(|(_, total)| total == Some(offset)) => {
            Ok(Reply::Complete)
        }
        416 => Err(HttpError::Stale("the server holds less than was downloaded before".into())),
        code @ (408 | 425 | 429 | 500..) => {
            Err(HttpError::Temporary(format!("the server answered {code}")))
        }
        code @ (404 | 410) => {
            Err(HttpError::Permanent(format!("the server has no such file ({code})")))
        }
        code => Err(HttpError::Permanent(format!("the server answered {code}"))),
    }
}

fn classify(error: ureq::Error) -> HttpError {
    use ureq::Error::{
        BadUri, ConnectionFailed, HostNotFound, Http, InvalidProxyUrl, TooManyRedirects,
    };
    match error {
        HostNotFound | ConnectionFailed => HttpError::Permanent(format!("no connection ({error})")),
        BadUri(_) | Http(_) | InvalidProxyUrl | TooManyRedirects => {
            HttpError::Permanent(error.to_string())
        }
        other => HttpError::Temporary(other.to_string()),
    }
}

fn partial(response: Response<Body>, offset: u64) -> Result<Reply, HttpError> {
    match content_range(&response) {
        Some((Some(start), total)) if start == offset => {
            Ok(Reply::Body(Answer { start, total, body: body(response) }))
        }
        _ => Err(HttpError::Stale(
            "the server answered with another range than was asked for".into(),
        )),
    }
}

fn body(response: Response<Body>) -> Box<dyn Read> {
    Box::new(response.into_body().into_reader())
}

fn length(response: &Response<Body>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Start and total of `Content-Range: bytes START-END/TOTAL`; either may be `*`.
fn content_range(response: &Response<Body>) -> Option<(Option<u64>, Option<u64>)> {
    parse_range(response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?)
}

fn parse_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split('-').next()?.trim().parse().ok(), total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((Some(5), Some(10))));
        assert_eq!(parse_range("bytes */10"), Some((None, Some(10))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((Some(5), None)));
        assert_eq!(parse_range("lines 5-9/10"), None);
    }

    #[test]
    fn loopback_needs_no_proxy() {
        assert!(is_loopback("http://127.0.0.1:80/a") && is_loopback("http://localhost/a"));
        assert!(!is_loopback("https://zenodo.org/localhost"));
    }
}
