//! Identities of simulated parties: one key a party and process, made when first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Identity, KeyError, SERVER, Scheme};

type Pool = HashMap<(Scheme, u32), Arc<Identity>>;

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// The identity of client `index`. Its key comes from the operating system: signatures are checked,
/// never part of a result.
///
/// # Errors
/// [`KeyError::Generate`].
pub fn client(scheme: Scheme, index: u32) -> Result<Arc<Identity>, KeyError> {
    if let Some(found) = look_up(scheme, index) {
        return Ok(found);
    }
    // Made outside the lock, so that slow RSA keys are made side by side; the first one in stays.
    let fresh = Arc::new(Identity::generate(scheme)?);
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(pool.get_or_insert_default().entry((scheme, index)).or_insert(fresh).clone())
}

/// The identity of the server.
///
/// # Errors
/// [`KeyError::Generate`].
pub fn server(scheme: Scheme) -> Result<Arc<Identity>, KeyError> {
    client(scheme, SERVER)
}

fn look_up(scheme: Scheme, index: u32) -> Option<Arc<Identity>> {
    let pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    pool.as_ref()?.get(&(scheme, index)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_keeps_its_key() {
        let key = |i| client(Scheme::Ed25519, i).unwrap().public().clone();
        assert_eq!(key(3), key(3));
        assert_ne!(key(3), key(4));
        assert_ne!(key(3), *server(Scheme::Ed25519).unwrap().public());
    }
}
