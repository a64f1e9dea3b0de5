//! How far a table's values lie from those that a model was trained on.

use datasets::Column;

use super::columns::Columns;

/// Share of values beyond what the model was trained on, from which a table is refused.
const MOST_OUTSIDE: f64 = 0.25;
/// How far beyond its span rounding carries a value that was computed elsewhere, in spans.
pub(super) const ROUNDING: f64 = 1e-9;

/// Values that a model's spans do not hold.
#[derive(Default)]
pub(super) struct Range {
    /// All values so far, and those outside their column's span.
    all: usize,
    outside: usize,
    /// Whether all lie in [0, 1].
    unit: bool,
    /// Line, column and value of the first outside.
    first: Option<(usize, usize, f64)>,
}

impl Range {
    pub fn new() -> Range {
        Range { unit: true, ..Range::default() }
    }

    pub fn add(&mut self, column: &Column, value: f64, line: usize, feature: usize) {
        let slack = ROUNDING * (column.high - column.low).abs();
        self.all += 1;
        self.unit &= (0.0..=1.0).contains(&value);
        if !(column.low - slack..=column.high + slack).contains(&value) {
            self.outside += 1;
            self.first.get_or_insert((line, feature, value));
        }
    }

    /// Refuses a table most of whose values mean something else, and notes the rest.
    pub fn judge(&self, columns: &Columns) -> Result<Vec<String>, (String, String)> {
        let Some((line, feature, value)) = self.first else {
            return Ok(self.looks_scaled(columns).into_iter().collect());
        };
        let column = &columns.columns[feature];
        let first = format!(
            "line {line}: `{}` is {value}, trained on {} to {}",
            column.name, column.low, column.high
        );
        let (outside, all) = (self.outside, self.all);
        if outside as f64 > MOST_OUTSIDE * all as f64 {
            return Err((
                format!(
                    "{outside} of {all} values lie outside what the model was trained on ({first})"
                ),
                "give the columns in the units of the training, or with --scaled where they are \
                 scaled to [0, 1]"
                    .into(),
            ));
        }
        Ok(vec![format!(
            "{outside} of {all} values lie outside what the model was trained on, and count as the \
             nearest that it knows ({first})"
        )])
    }

    /// Columns that reach far beyond 1, and not one value that does.
    fn looks_scaled(&self, columns: &Columns) -> Option<String> {
        let far = columns.columns.iter().filter(|c| c.high >= 2.0).count();
        (self.unit && self.all > 0 && 2 * far > columns.count()).then(|| {
            "every value lies in [0, 1], where most columns of the model reach far beyond: give \
             --scaled if they are scaled already"
                .into()
        })
    }
}
