//! The file itself: one style, one script, one block of data, and a policy that lets nothing else
//! in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use suites::foreign::{printable, printable_lines};

const STYLE: &str = include_str!("../../assets/report/report.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("../../assets/report/base.js"),
    include_str!("../../assets/report/table.js"),
    include_str!("../../assets/report/pictures.js"),
    include_str!("../../assets/report/curves.js"),
    include_str!("../../assets/report/cell.js"),
    include_str!("../../assets/report/page.js"),
);
const BODY: &str = include_str!("../../assets/report/body.html");

/// The page that shows `data`.
pub(super) fn document(title: &str, data: &Value) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta \
         name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" \
         content=\"no-referrer\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n{BODY}\
         <script type=\"application/json\" \
         id=\"data\">{}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        policy(),
        escape(title),
        embedded(data),
    )
}

/// Nothing is fetched: the script and the style are known by their hashes, pictures are in the
/// file.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// JSON that cannot end its script element.
fn embedded(data: &Value) -> String {
    // "<" stands only within strings, where JSON may spell it so.
    shown(&data.to_string()).replace('<', "\\u003c")
}

/// JSON whose strings show control characters and marks that turn text instead of holding them.
fn shown(json: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(at) = rest.find("\\") {
        let (before, escape) = rest.split_at(at);
        out.push_str(&printable_lines(before).replace("\\u{", "\\\\u{"));
        let length = if escape.as_bytes().get(1) == Some(&b'u') { 6 } else { 2 };
        let (escape, after) = escape.split_at(length.min(escape.len()));
        // Only control characters are spelled so, and of these only lines stay.
        match escape.strip_prefix("\\u00") {
            Some(digits) => {
                let code = u32::from_str_radix(digits, 16).unwrap_or_default();
                out.push_str(&format!("\\\\u{{{code:x}}}"));
            }
            None => out.push_str(escape),
        }
        rest = after;
    }
    out + &printable_lines(rest).replace("\\u{", "\\\\u{")
}

fn escape(text: &str) -> String {
    printable(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn control_characters_are_shown() {
        let page = document("t\u{1b}", &json!({ "a": "x\u{1b}[2J\u{202e}y\n\"\\u" }));
        assert!(page.contains("<title>t\\u{1b}</title>"));
        let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let read: Value = serde_json::from_str(data).unwrap();
        assert_eq!(read, json!({ "a": "x\\u{1b}[2J\\u{202e}y\n\"\\u" }));
    }

    #[test]
    fn no_name_breaks_out() {
        let evil = "</script><script>alert(1)</script><!-- ]]> & \" '";
        let page = document(evil, &json!({ evil: [evil] }));
        assert_eq!(page.matches("<script").count(), 2 + SCRIPT.matches("<script").count());
        assert!(!page.contains("<!--") && page.contains("<title>&lt;/script&gt;"));
        let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
        assert_eq!(serde_json::from_str::<Value>(data).unwrap(), json!({ evil: [evil] }));
    }

    #[test]
    fn the_assets_fit_their_elements() {
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
        assert!(
            !SCRIPT.contains("<!--") && !SCRIPT.contains("eval(") && !SCRIPT.contains("innerHTML")
        );
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
