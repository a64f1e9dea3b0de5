//! `bench keys`: keys made from the operating system's randomness, and files of keys explained.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use protocols::keys::{self, Inspection, KeyError, KeyRequest, KeyScheme};
use serde_json::{Value, json};

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Make a key; secrets are written with mode 0600 and never shown
    Generate(Generate),
    /// Say what a key or ciphertext is, without its secrets
    Inspect {
        /// A file, or a folder of keys
        path: PathBuf,
    },
}

#[derive(ClapArgs, Debug)]
struct Generate {
    /// What the key is for
    #[arg(long)]
    scheme: Scheme,
    /// Folder to write to; made with mode 0700 where it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Bits of the modulus (paillier, rsa) [default: 2048]
    #[arg(long)]
    bits: Option<u32>,
    /// Share a ckks secret key among so many holders, all of whom are needed to decrypt
    #[arg(long, value_name = "N")]
    parties: Option<usize>,
    /// Parameter set of ckks, by name or as DEGREE/MODULI/SCALE in bits [default: fedavg]
    #[arg(long, value_name = "SET")]
    parameters: Option<String>,
    /// Replace keys that are there already
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scheme {
    Ckks,
    Paillier,
    Rsa,
    Ed25519,
}

impl From<Scheme> for KeyScheme {
    fn from(scheme: Scheme) -> KeyScheme {
        match scheme {
            Scheme::Ckks => KeyScheme::Ckks,
            Scheme::Paillier => KeyScheme::Paillier,
            Scheme::Rsa => KeyScheme::Rsa,
            Scheme::Ed25519 => KeyScheme::Ed25519,
        }
    }
}

/// Makes or explains keys.
///
/// # Errors
/// Keys that are there already, options that do not fit the scheme, files that are no keys.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let found = match &args.act {
        Act::Generate(wanted) => generate(wanted)?,
        Act::Inspect { path } => inspect(path)?,
    };
    if settings.json {
        println!("{}", Value::from(found.iter().map(as_json).collect::<Vec<_>>()))
    } else {
        found.iter().for_each(|(path, what)| print(path, what))
    }
    Ok(ExitCode::SUCCESS)
}

/// A file and what it holds.
type Found = (PathBuf, Inspection);

fn generate(wanted: &Generate) -> Result<Vec<Found>> {
    let (bits, parties, parameters) = (wanted.bits, wanted.parties, wanted.parameters.clone());
    let request = KeyRequest { scheme: wanted.scheme.into(), bits, parties, parameters };
    let paths = keys::write_all(&wanted.out, &keys::generate(&request)?, wanted.force)?;
    // Read back: what is reported is what lies on the disk.
    paths.into_iter().map(|path| Ok((path.clone(), keys::inspect_file(&path)?))).collect()
}

/// One file, or every key in a folder; other files beside them are passed over.
fn inspect(path: &Path) -> Result<Vec<Found>> {
    if !path.is_dir() {
        return Ok(vec![(path.into(), keys::inspect_file(path)?)]);
    }
    let unreadable = |source| KeyError::Io { what: "read", path: path.into(), source };
    let entries: std::io::Result<Vec<_>> =
        std::fs::read_dir(path).map_err(unreadable)?.map(|entry| entry.map(|e| e.path())).collect();
    let mut files: Vec<PathBuf> =
        entries.map_err(unreadable)?.into_iter().filter(|p| p.is_file()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        match keys::inspect_file(&file) {
            Ok(what) => found.push((file, what)),
            Err(KeyError::File { source, .. })
                if matches!(*source, KeyError::Unknown | KeyError::Elsewhere(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if found.is_empty() { Err(KeyError::Empty(path.into()).into()) } else { Ok(found) }
}

fn as_json((path, what): &Found) -> Value {
    let mut row = json!({ "path": path.display().to_string() });
    if let (Some(row), Ok(Value::Object(what))) = (row.as_object_mut(), serde_json::to_value(what))
    {
        row.extend(what);
    }
    row
}

fn print(path: &Path, what: &Inspection) {
    let words = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let parameters =
        what.parameters.iter().map(|(name, value)| format!(", {name} {}", words(value)));
    let strength = match (what.kind.as_str(), what.security_bits) {
        (_, Some(bits)) => format!(", {bits}-bit security"),
        ("secret key" | "public key", None) => ", no security".into(),
        _ => String::new(),
    };
    show!(
        "{}: {} {} ({}){}{strength}, fingerprint {}{}",
        path.display(),
        what.scheme,
        what.kind,
        what.form,
        parameters.collect::<String>(),
        what.fingerprint,
        if what.secret { "; keep it secret" } else { "" }
    );
    what.warnings.iter().for_each(|w| show!("  warning: {w}"));
}
