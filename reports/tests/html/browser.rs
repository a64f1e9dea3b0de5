//! A headless Chromium driven through the DevTools protocol over two named pipes: keys and clicks
//! are those of a person, not of a script.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Where Chromium is: `$CHROME`, or on the path.
pub fn find() -> Option<PathBuf> {
    if let Some(chosen) = std::env::var_os("CHROME") {
        return Some(chosen.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|dir| names.map(|n| dir.join(n))).find(|p| p.is_file())
}

/// One page of one browser.
pub struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    session: Value,
    last: u64,
    events: VecDeque<Value>,
    _dir: tempfile::TempDir,
}

impl Browser {
    /// Starts the browser at `chrome` with an empty page of `width` pixels.
    pub fn start(chrome: &Path, width: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pipes = ["in", "out"].map(|name| dir.path().join(name));
        assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
        // The shell hands the pipes over as the descriptors 3 and 4 that the protocol asks for.
        let script = "exec \"$1\" --headless --no-sandbox --disable-gpu --no-first-run \
            --disable-background-networking \
                      --user-data-dir=\"$2/profile\" --remote-debugging-pipe about:blank \
                      3<\"$2/in\" 4>\"$2/out\"";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .args([chrome, dir.path()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = File::options().write(true).open(&pipes[0]).unwrap();
        let out = File::open(&pipes[1]).unwrap();
        let (send, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0).map_while(Result::ok) {
                let _ = send.send(serde_json::from_slice(&message).unwrap_or(Value::Null));
            }
        });
        let mut browser = Browser {
            child,
            to,
            from,
            session: Value::Null,
            last: 0,
            events: VecDeque::new(),
            _dir: dir,
        };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", attach)["sessionId"].clone();
        for method in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.call(method, json!({}));
        }
        browser.resize(width);
        browser
    }

    /// A window of `width` pixels.
    pub fn resize(&mut self, width: u32) {
        let size =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Asks, and waits for the answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.next();
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    fn next(&mut self) -> Value {
        self.from.recv_timeout(Duration::from_secs(120)).expect("the browser fell silent")
    }

    /// Opens a file, at `fragment`, and waits until it is drawn; returns everything the console,
    /// the policy and the network had to say.
    pub fn open(&mut self, file: &Path, fragment: &str) -> Vec<String> {
        // From a fragment to another of the same file would be no load.
        self.load("about:blank");
        self.load(&format!("file://{}#{fragment}", file.display()));
        self.complaints()
    }

    fn load(&mut self, url: &str) {
        self.events.clear();
        self.call("Page.navigate", json!({ "url": url }));
        while !self.events.iter().any(|e| e["method"] == "Page.loadEventFired") {
            let event = self.next();
            self.events.push_back(event);
        }
    }

    /// What the console, the policy and the network said since the page was opened.
    pub fn complaints(&mut self) -> Vec<String> {
        // An answer comes after every event before it.
        self.eval("0");
        let own = |e: &&Value| {
            let url = e["params"]["request"]["url"].as_str().unwrap_or_default();
            match e["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => true,
                "Network.requestWillBeSent" => {
                    !url.starts_with("file:") && !url.starts_with("data:")
                }
                _ => false,
            }
        };
        self.events.iter().filter(own).map(|e| e["params"].to_string()).collect()
    }

    /// The value of a JavaScript expression.
    pub fn eval(&mut self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", ask);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    /// Presses a key: a character, or one of the named.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            _ => 0,
        };
        let text = if key == "Enter" {
            "\r"
        } else if code == 0 {
            key
        } else {
            ""
        };
        let event = |kind: &str| {
            let text = if kind == "keyDown" { text } else { "" };
            json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text })
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        self.call("Input.dispatchKeyEvent", event(down));
        self.call("Input.dispatchKeyEvent", event("keyUp"));
    }

    /// Types a text.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
