//! The same federation on somebody else's examples: what an adversary plays by itself, with public
//! data, to learn which attack works against these weights and defenses.

use rand::seq::SliceRandom;
use suites::rng::stream;
use suites::{SpecError, Split, stream_key};

use crate::randomness::Randomness;
use crate::{Federation, FederationError};

impl Federation {
    /// Rehearsal `n` on the examples of `split`: clients, defenses, budgets and protocol are this
    /// federation's; the examples are dealt at random, and every draw (batches, noise, masks) is
    /// the rehearsal's own.
    ///
    /// # Errors
    /// A split with fewer examples than one client holds; the split of the federation itself.
    pub fn rehearsal(&self, split: Split, n: usize) -> Result<Federation, FederationError> {
        let (held, wanted) = (self.data.len(split), self.holding());
        if split == self.spec.task.split || held < wanted {
            let problem = format!(
                "no rehearsal on split `{split}`, which has {held} examples: a client takes \
                 {wanted}, and none may be its own"
            );
            let remedy = "use another split, or fewer examples a client";
            return Err(SpecError::value("task.split", problem, remedy).into());
        }
        let mut spec = self.spec.clone();
        spec.task.split = split;
        let key = stream_key::rehearsal(&self.key, n);
        let mut ids: Vec<usize> = (0..held).collect();
        let order = stream_key::rehearsal(&self.key, 0);
        ids.shuffle(&mut stream(spec.seed, &order, "public examples"));
        // Rehearsals and their clients follow one another through the one shuffled split, and
        // begin anew at its end.
        let before = n * self.parts.len() * wanted % held.max(1);
        let mut public = ids.into_iter().cycle().skip(before);
        let parts = self.parts.iter().map(|_| public.by_ref().take(wanted).collect()).collect();
        Ok(Federation {
            randomness: Randomness::Seeded(self.spec.seed),
            secrets: stream_key::rehearsal(&self.secrets, n),
            spec,
            key,
            parts,
            data: self.data.clone(),
            net: self.net.clone(),
            pipeline: self.pipeline.clone(),
            deployment: self.deployment.clone(),
            budgets: self.budgets.clone(),
            notes: Vec::new(),
        })
    }

    /// Examples that a client of a rehearsal holds: as many as the captured round takes of it.
    fn holding(&self) -> usize {
        (0..self.parts.len()).map(|client| self.examples_of(client)).max().unwrap_or(0)
    }
}
