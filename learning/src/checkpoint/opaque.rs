//! What a file names beside tensors: kept by its name alone, and never run.
//!
//! Nothing here calls anything, so no name is dangerous to this reader. A file that asks for a
//! shell, for code or for the machinery that finds them is refused all the same: no training
//! script writes that, whoever made the file meant it to run elsewhere, and its tensors deserve no
//! trust.

use super::Problem;
use super::pickle::{Machine, shown};
use super::value::{Object, Opaque, Value};

/// Modules that no training script writes into a checkpoint.
const MODULES: [&str; 26] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "_posixsubprocess",
    "_pickle",
    "asyncio",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "imp",
    "importlib",
    "marshal",
    "multiprocessing",
    "pickle",
    "pip",
    "pty",
    "pydoc",
    "runpy",
    "shutil",
    "socket",
    "timeit",
    "webbrowser",
    "_winapi",
];

/// Those of them whose parts are meant as well; others may be a project's own packages.
const WHOLE: [&str; 8] =
    ["os", "subprocess", "asyncio", "ctypes", "importlib", "multiprocessing", "pip", "sys"];

/// What else runs code, makes it or opens files.
const OTHERS: [(&str, &str); 8] = [
    ("types", "FunctionType"),
    ("types", "LambdaType"),
    ("types", "CodeType"),
    ("io", "open"),
    ("_io", "open"),
    ("_io", "FileIO"),
    ("io", "FileIO"),
    ("io", "open_code"),
];

/// What runs or finds code among the builtins.
const BUILTINS: [&str; 17] = [
    "eval",
    "exec",
    "execfile",
    "compile",
    "open",
    "file",
    "input",
    "apply",
    "getattr",
    "setattr",
    "delattr",
    "globals",
    "locals",
    "vars",
    "breakpoint",
    "memoryview",
    "__import__",
];

/// Names under which the builtins are imported.
const BUILTIN: [&str; 3] = ["builtins", "__builtin__", "__builtins__"];

/// The import of a name that is not known.
///
/// # Errors
/// A name that runs or finds code.
pub(super) fn import<'a>(module: &'a str, name: &'a str) -> Result<Object<'a>, Problem> {
    let getattr = BUILTIN.contains(&module) && name == "getattr";
    if runs_code(module, name) && !getattr {
        return Err(refused(module, name));
    }
    Ok(Object::Opaque(Opaque { module, name, made: false }))
}

fn refused(module: &str, name: &str) -> Problem {
    let (module, name) = (shown(module), shown(name));
    Problem::Refused(format!(
        "it refers to `{module}.{name}`, which runs code and which no state dict needs; nothing of \
         it was run; take the weights from somebody you trust, saved with \
         torch.save(model.state_dict(), path)"
    ))
}

/// Whether a name can run code, or leads through a module that does (`torch`, `os.system`).
fn runs_code(module: &str, name: &str) -> bool {
    let mut parts = name.split('.').rev();
    let last = parts.next().unwrap_or(name);
    let builtin = BUILTIN.contains(&module) || parts.clone().any(|part| BUILTIN.contains(&part));
    let hidden = |part: &str| {
        part.len() > 4 && part.starts_with("__") && part.ends_with("__") && !NEW.contains(&part)
    };
    MODULES.contains(&module)
        || WHOLE.contains(&module.split('.').next().unwrap_or(module))
        || parts.any(|part| MODULES.contains(&part))
        || builtin && BUILTINS.contains(&last)
        || OTHERS.contains(&(module, last))
        || name.split('.').any(hidden)
}

/// How `pickle` itself makes objects.
const NEW: [&str; 2] = ["__newobj__", "__newobj_ex__"];

/// What a call of `function` would give: an object that is known by a name alone.
///
/// # Errors
/// `getattr` of anything but a member of an imported class, as Python 3.11 writes those of an
/// enumeration, and older ones classes within classes.
pub(super) fn call<'a>(
    machine: &mut Machine<'a>,
    function: Opaque<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Problem> {
    if BUILTIN.contains(&function.module) && function.name == "getattr" {
        return member(machine, function, arguments);
    }
    let opaque = |value: Option<&Value<'a>>| match machine.get(*value?) {
        Some(Object::Opaque(inner)) => Some(*inner),
        _ => None,
    };
    // Some helpers make an object of the class that they are given.
    let class = match (function.module, function.name) {
        ("torch._utils", "_rebuild_tensor_v3") => opaque(arguments.get(6)),
        ("torch._utils", "_rebuild_wrapper_subclass") => opaque(arguments.first()),
        ("copy_reg" | "copyreg", _) => opaque(arguments.first()),
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
            opaque(arguments.first())
        }
        _ => None,
    };
    made(machine, class.unwrap_or(function))
}

/// An object of a class that is not known.
pub(super) fn made<'a>(machine: &mut Machine<'a>, class: Opaque<'a>) -> Result<Value<'a>, Problem> {
    machine.add(Object::Opaque(Opaque { made: true, ..class }))
}

fn member<'a>(
    machine: &mut Machine<'a>,
    function: Opaque<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Problem> {
    let (class, name) = match arguments {
        [class, Value::Text(name)] => (machine.get(*class), *name),
        _ => (None, ""),
    };
    match class {
        Some(&Object::Opaque(class))
            if !BUILTIN.contains(&class.module)
                && !MODULES[..5].contains(&name)
                && !runs_code(class.module, name) =>
        {
            machine.add(Object::Opaque(Opaque { made: false, ..class }))
        }
        _ => Err(refused(function.module, function.name)),
    }
}

/// What a note calls an opaque value.
pub(super) fn describe(opaque: Opaque) -> String {
    match (opaque.module, opaque.name) {
        ("_codecs", "encode") => "bytes".into(),
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => "a NumPy scalar".into(),
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => "numpy.ndarray".into(),
        ("numpy.random._pickle", "__generator_ctor") => "numpy.random.Generator".into(),
        ("torch._utils", "_rebuild_qtensor") => "a quantised tensor".into(),
        ("torch._utils", "_rebuild_sparse_tensor") => "a sparse tensor".into(),
        ("torch._utils", "_rebuild_nested_tensor") => "a nested tensor".into(),
        ("torch._utils", name) if name.starts_with("_rebuild_meta_tensor") => {
            "a tensor without values".into()
        }
        ("__builtin__", "xrange") => "range".into(),
        (module, name) if BUILTIN.contains(&module) => shown(name),
        (module, name) => format!("{}.{}", shown(module), shown(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_run_code_are_told_from_others() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("os.path", "join"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("__builtin__", "exec"),
            ("builtins", "getattr"),
            ("torch", "os.system"),
            ("torch.serialization", "__builtins__.eval"),
            ("torch", "load.__globals__"),
            ("importlib.util", "find_spec"),
            ("types", "FunctionType"),
            ("io", "open"),
        ] {
            assert!(runs_code(module, name), "{module}.{name}");
        }
        for (module, name) in [
            ("argparse", "Namespace"),
            ("torch", "device"),
            ("builtins", "set"),
            ("pathlib", "PosixPath"),
            ("copyreg", "__newobj__"),
            ("my.os.tools", "Options"),
            ("code.models", "Config"),
            ("types", "SimpleNamespace"),
            ("numpy.random._pickle", "__generator_ctor"),
            ("numpy.core.multiarray", "scalar"),
        ] {
            assert!(!runs_code(module, name), "{module}.{name}");
        }
    }
}
