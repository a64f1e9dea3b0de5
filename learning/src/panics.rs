//! Work whose panics become errors: libtorch's operators know no other way to refuse.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Whether this thread is inside guarded work, whose panics become its error.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panics of guarded work off the screen (they are in its errors) and says the others in
/// one line.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        if let Some(reason) =
            info.payload_as_str().and_then(|m| m.strip_prefix("failed printing to stdout: "))
        {
            no_output(reason);
        }
        if !INSIDE.get() {
            eprintln!(
                "bench: internal error, please report it: {}",
                one_line(&info.to_string().replace('\n', " "))
            );
        }
    }));
}

/// `println!` knows no other way to say that standard output takes nothing more. A reader that has
/// gone has seen enough.
fn no_output(reason: &str) -> ! {
    if reason.contains("Broken pipe") {
        std::process::exit(141);
    }
    eprintln!("bench: cannot write to standard output: {reason}");
    std::process::exit(3)
}

/// `work`, or what its panic said: libtorch's operators know no other way to refuse.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = INSIDE.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    outcome.map_err(|panic| panic_message(panic.as_ref()))
}

/// What a panic said, on one line.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
    one_line(&text.unwrap_or_else(|| "a panic without a message".into()))
}

/// What a message says first. libtorch's errors carry a stack trace, whose addresses differ from
/// process to process and must not enter a record; in a panic they are quoted as `Torch("...")`,
/// line ends escaped.
pub fn one_line(text: &str) -> String {
    let quoted = text.split_once("value: Torch(\"").map(|(_, inner)| inner);
    let mut lines = quoted.unwrap_or(text).split("\\n").flat_map(str::lines).map(str::trim);
    let line = lines.find(|l| !l.is_empty()).unwrap_or("no message");
    quoted.map_or(line, |_| line.trim_end_matches("\")")).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_stack_trace_stays_out() {
        let quoted = "called `Result::unwrap()` on an `Err` value: Torch(\"no memory\\nframe #0: \
            f (0x7f15d8173d6a in libc10.so)\\n\")";
        assert_eq!(super::one_line(quoted), "no memory");
        assert_eq!(super::one_line("\n no memory\nframe #0: f (0x7f15d8173d6a)"), "no memory");
        assert_eq!(super::one_line("value: Torch(\"short\")"), "short");
        assert_eq!(super::one_line(""), "no message");
        assert_eq!(super::one_line("write (x = \"clip\")"), "write (x = \"clip\")");
    }
}
