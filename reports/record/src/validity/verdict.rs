//! What a run comes to as a whole: how many of its defended cells say anything.

use super::Validity;
use crate::run::Run;

/// What a run comes to as far as its defended cells can be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Defended cells that were attacked.
    pub defended: usize,
    /// Of these, those whose undefended twin beats the floor.
    pub measurable: usize,
    /// Of these, those without an undefended twin.
    pub without_twin: usize,
    /// Undefended cells that were attacked.
    pub undefended: usize,
    /// Of these, those that beat the floor.
    pub beating: usize,
    /// Attacked cells about models that should have learnt and have not, counted nowhere else.
    pub untrained: usize,
}

/// Counts the attacked cells of a run by what they say.
pub fn verdict(run: &Run) -> Verdict {
    let mut out = Verdict::default();
    for at in run.attacked() {
        let validity = &run.validity[at];
        if validity.untrained() {
            out.untrained += 1;
        } else if run.defended(at) {
            out.defended += 1;
            out.measurable += usize::from(validity.measurable());
            out.without_twin += usize::from(*validity == Validity::NoTwin);
        } else {
            out.undefended += 1;
            out.beating += usize::from(validity.measurable());
        }
    }
    out
}

impl Verdict {
    /// The sentence that a report begins with; `None` where every cell counts.
    pub fn sentence(&self) -> Option<String> {
        const FLOOR: &str = "what an attacker gets who has seen nothing";
        let Verdict { defended, measurable, without_twin, untrained, .. } = *self;
        if untrained > 0 && defended + self.undefended == 0 {
            return Some(
                "No attacked model had learnt: nothing follows about trained ones.".into(),
            );
        }
        if self.undefended > 0 && self.beating == 0 {
            let follows = if defended > 0 { ": nothing follows about these defenses" } else { "" };
            return Some(format!("No attack beat the floor, {FLOOR}{follows}."));
        }
        if measurable == defended {
            return None;
        }
        if without_twin == defended {
            return Some(
                "No undefended twin was run: the validity of these defended cells is \
                unknown."
                    .into(),
            );
        }
        let failing = defended - measurable - without_twin;
        let mut parts = Vec::new();
        if failing > 0 {
            parts.push(format!(
                "{failing} not measurable, for no attack surely beat the floor \
                ({FLOOR}) without the defense"
            ));
        }
        if without_twin > 0 {
            parts.push(format!("{without_twin} without an undefended twin"));
        }
        Some(format!(
            "Of {defended} defended cells {measurable} can be judged; {}.",
            parts.join(", ")
        ))
    }
}
