//! Published attacks as values of [`crate::matching::MatchingConfig`].

pub mod dlg;
pub mod fl_attack;
pub mod idlg;
pub mod inverting_gradients;
