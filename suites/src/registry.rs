//! A registry is a value: the entries that ship with the project, and whatever a program of
//! somebody else's adds to them.

use std::fmt;

use crate::{Entry, SpecError};

/// What stands in a registry.
pub trait Registered: 'static {
    /// Its unique name, such as `dlg`.
    fn name(&self) -> &'static str;
}

impl<T: ?Sized + 'static> Registered for Entry<T> {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// Entries of one kind, each under a name of its own, in the order in which they are listed.
pub struct Registry<E: 'static> {
    what: &'static str,
    entries: Vec<&'static E>,
}

impl<E: Registered> Registry<E> {
    /// The entries that ship with the project; `what` is their kind in errors ("attack").
    pub fn builtin(what: &'static str, entries: &[&'static E]) -> Registry<E> {
        Registry { what, entries: entries.to_vec() }
    }

    /// The same with one entry more.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with(mut self, entry: &'static E) -> Result<Registry<E>, SpecError> {
        self.free(entry.name())?;
        self.entries.push(entry);
        Ok(self)
    }

    /// Sees that nothing here is called `name`.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn free(&self, name: &str) -> Result<(), SpecError> {
        match self.get(name) {
            None => Ok(()),
            Some(_) => {
                let place = format!("{} `{name}`", self.what);
                Err(SpecError::value(place, "is registered already", "give it another name"))
            }
        }
    }

    /// The entry called `name`, where there is one.
    pub fn get(&self, name: &str) -> Option<&'static E> {
        self.iter().find(|entry| entry.name() == name)
    }

    /// The entry called `name`.
    ///
    /// # Errors
    /// [`SpecError::UnknownName`], which suggests the nearest name and lists all.
    pub fn find(&self, name: &str) -> Result<&'static E, SpecError> {
        self.get(name).ok_or_else(|| SpecError::unknown_name(self.what, name, self.names()))
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static E> + Clone + '_ {
        self.entries.iter().copied()
    }

    /// Their names in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + '_ {
        self.iter().map(E::name)
    }
}

impl<E: 'static> Clone for Registry<E> {
    fn clone(&self) -> Self {
        Registry { what: self.what, entries: self.entries.clone() }
    }
}

impl<E: Registered> fmt::Debug for Registry<E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ROUND: Entry<dyn Send> = entry("round");
    static SQUARE: Entry<dyn Send> = entry("square");
    static OTHER_ROUND: Entry<dyn Send> = entry("round");

    const fn entry(name: &'static str) -> Entry<dyn Send> {
        Entry { name, summary: "", reference: "", build: |_| Ok(Box::new(())) }
    }

    #[test]
    fn an_added_entry_is_found_listed_and_suggested() {
        let shapes = Registry::builtin("shape", &[&ROUND]).with(&SQUARE).unwrap();
        assert_eq!(shapes.names().collect::<Vec<_>>(), ["round", "square"]);
        assert!(std::ptr::eq(shapes.find("square").unwrap(), &SQUARE));
        assert_eq!(
            shapes.find("sqare").err().unwrap().to_string(),
            "unknown shape `sqare` (did you mean `square`?); known: round, square"
        );
    }

    #[test]
    fn a_name_is_added_once() {
        let twice = Registry::builtin("shape", &[&ROUND]).with(&OTHER_ROUND);
        assert_eq!(
            twice.err().unwrap().to_string(),
            "shape `round`: is registered already; give it another name"
        );
    }
}
