//! `cargo xtask sbom`: what the shipped binary is built of, as CycloneDX 1.5 in JSON.
//!
//! Components are what `cargo tree` finds below `bench` (normal and build dependencies, every
//! target); versions, checksums and edges come from `Cargo.lock`. There is no time and no number of
//! chance in it: equal sources give equal bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::error::Error;
use crate::tree;

/// Name and version.
type Key = (String, String);

/// A package of `Cargo.lock`.
#[derive(Default)]
struct Package {
    checksum: Option<String>,
    /// As the file writes them: a name, and a version where there are several.
    needs: Vec<String>,
}

/// Prints it.
///
/// # Errors
/// A lock file that cannot be read, or `cargo tree` that fails.
pub fn print() -> Result<(), Error> {
    let file =
        |name: &str| std::fs::read_to_string(name).map_err(|e| Error::File(name.to_owned(), e));
    let wheel = file("ci/libtorch.txt")?;
    let torch = wheel.lines().find_map(|line| line.strip_prefix("torch=="));
    let torch = torch.and_then(|line| line.split_whitespace().next()).unwrap_or("unknown");
    print!("{}", document(&licences(&shipped()?), &packages(&file("Cargo.lock")?), torch));
    Ok(())
}

fn shipped() -> Result<String, Error> {
    let words = ["tree", "--locked", "--package", "cli", "--edges", "normal,build"];
    let more = ["--target", "all", "--prefix", "none", "--no-dedupe", "--format", "{p}\t{l}"];
    tree::output("cargo", &[&words[..], &more].concat())
}

/// The licence of every package of a tree.
fn licences(tree: &str) -> BTreeMap<Key, String> {
    let package = |line: &str| {
        let (what, licence) = line.split_once('\t')?;
        let mut words = what.split(' ');
        let key = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
        // Before SPDX's expressions a slash stood for a choice.
        Some((key, licence.replace('/', " OR ")))
    };
    tree.lines().filter_map(package).collect()
}

/// What a lock file says of each package.
fn packages(lock: &str) -> BTreeMap<Key, Package> {
    let mut all = BTreeMap::new();
    for entry in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = entry.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|v| v.trim_matches('"').to_owned())
        };
        let (Some(name), Some(version)) = (value("name"), value("version")) else { continue };
        let listed = entry.lines().filter_map(|l| l.strip_prefix(" \"")?.strip_suffix("\","));
        let needs = listed.map(str::to_owned).collect();
        all.insert((name, version), Package { checksum: value("checksum"), needs });
    }
    all
}

fn document(
    licences: &BTreeMap<Key, String>,
    packages: &BTreeMap<Key, Package>,
    torch: &str,
) -> String {
    let root = licences.keys().find(|key| key.0 == "cli");
    let version = root.map_or("unknown", |key| &key.1);
    let (mut parts, mut edges) = (Vec::new(), Vec::new());
    let none = Package::default();
    for (key, licence) in licences {
        let package = packages.get(key).unwrap_or(&none);
        parts.push(component(key, licence, package.checksum.as_deref()));
        edges.push(edge(key, &below(package, licences)));
    }
    parts.push(format!(
        "    {{\"type\":\"library\",\"bom-ref\":\"pkg:pypi/torch@{torch}\",\"name\":\"libtorch\",\
         \"version\":\"{torch}\",\"purl\":\"pkg:pypi/torch@{torch}\",\
         \"licenses\":[{{\"expression\":\"BSD-3-Clause\"}}]}}"
    ));
    format!(
        "{{\n  \"bomFormat\":\"CycloneDX\",\n  \"specVersion\":\"1.5\",\n  \"version\":1,\n  \
         \"metadata\":{{\"component\":{{\"type\":\"application\",\"bom-ref\":\"bench\",\
         \"name\":\"bench\",\"version\":\"{version}\"}}}},\n  \"components\":[\n{}\n  ],\n  \
         \"dependencies\":[\n{}\n  ]\n}}\n",
        parts.join(",\n"),
        edges.join(",\n")
    )
}

/// The packages that one needs, of those that are shipped.
fn below(package: &Package, shipped: &BTreeMap<Key, String>) -> BTreeSet<Key> {
    let fits = |need: &&String, key: &Key| {
        let mut words = need.split(' ');
        words.next() == Some(&key.0) && words.next().is_none_or(|version| version == key.1)
    };
    let keys = |need| shipped.keys().filter(move |key| fits(&need, key)).cloned();
    package.needs.iter().flat_map(keys).collect()
}

fn purl((name, version): &Key) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn component(key: &Key, licence: &str, checksum: Option<&str>) -> String {
    let (purl, (name, version)) = (purl(key), key);
    let mut text = format!(
        "    {{\"type\":\"library\",\"bom-ref\":\"{purl}\",\"name\":\"{name}\",\
         \"version\":\"{version}\",\"purl\":\"{purl}\""
    );
    if !licence.is_empty() {
        let _ = write!(text, ",\"licenses\":[{{\"expression\":\"{licence}\"}}]");
    }
    if let Some(sum) = checksum {
        let _ = write!(text, ",\"hashes\":[{{\"alg\":\"SHA-256\",\"content\":\"{sum}\"}}]");
    }
    text.push('}');
    text
}

fn edge(key: &Key, below: &BTreeSet<Key>) -> String {
    let refs: Vec<String> = below.iter().map(|key| format!("\"{}\"", purl(key))).collect();
    format!("    {{\"ref\":\"{}\",\"dependsOn\":[{}]}}", purl(key), refs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"cli\"\nversion = \"0.1.0\"\n\
        dependencies = [\n \"zip 6.0.0\",\n \"only-in-tests\",\n]\n\n[[package]]\nname = \"zip\"\n\
        version = \"6.0.0\"\nsource = \"registry\"\nchecksum = \"abc\"\n\n[[package]]\n\
        name = \"zip\"\nversion = \"0.6.6\"\nchecksum = \"def\"\n";
    const TREE: &str = "cli v0.1.0 (here)\tMIT\nzip v6.0.0\tMIT/Apache-2.0\nzip v0.6.6\tMIT\n";

    #[test]
    fn what_is_shipped_is_listed_once_with_its_sum_licence_and_edges() {
        let text = document(&licences(TREE), &packages(LOCK), "2.11.0");
        let zip = "\"version\":\"6.0.0\",\"purl\":\"pkg:cargo/zip@6.0.0\",\"licenses\":\
            [{\"expression\":\"MIT OR Apache-2.0\"}],\"hashes\":[{\"alg\":\"SHA-256\",\
            \"content\":\"abc\"}]}";
        assert!(text.contains(zip), "{text}");
        let edge = "{\"ref\":\"pkg:cargo/cli@0.1.0\",\"dependsOn\":[\"pkg:cargo/zip@6.0.0\"]}";
        assert!(text.contains(edge) && !text.contains("only-in-tests"), "{text}");
        assert!(text.contains("pkg:pypi/torch@2.11.0") && text.contains("zip@0.6.6"));
        assert_eq!(text, document(&licences(TREE), &packages(LOCK), "2.11.0"));
    }
}
