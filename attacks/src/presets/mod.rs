//! Published attacks as values of [`crate::matching::MatchingConfig`].

pub mod breaching_modern;
pub mod dlg;
pub mod fl_attack;
pub mod idlg;
pub mod inverting_gradients;
