//! Text that LaTeX sets as it was meant, and the environments around figures and tables.

use suites::figure::FigureWidth;

/// `text` with every character that LaTeX would act on escaped, on one line; signs outside ASCII that its fonts lack become commands.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match sign(c) {
            Some(command) => out.push_str(command),
            None if c.is_whitespace() || c.is_control() => out.push(' '),
            None => out.push(c),
        }
    }
    out
}

fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        '\\' => "\\textbackslash{}",
        '{' => "\\{",
        '}' => "\\}",
        '$' => "\\$",
        '&' => "\\&",
        '#' => "\\#",
        '%' => "\\%",
        '_' => "\\_",
        '^' => "\\textasciicircum{}",
        '~' => "\\textasciitilde{}",
        '<' => "\\textless{}",
        '>' => "\\textgreater{}",
        '|' => "\\textbar{}",
        '"' => "\\textquotedbl{}",
        '`' => "\\textasciigrave{}",
        '\'' => "\\textquotesingle{}",
        '·' => "$\\cdot$",
        '×' => "$\\times$",
        '±' => "$\\pm$",
        '≥' => "$\\geq$",
        '≤' => "$\\leq$",
        '∞' => "$\\infty$",
        'ε' => "$\\varepsilon$",
        'δ' => "$\\delta$",
        'σ' => "$\\sigma$",
        'α' => "$\\alpha$",
        'λ' => "$\\lambda$",
        'µ' | 'μ' => "$\\mu$",
        '→' => "$\\rightarrow$",
        '↑' => "$\\uparrow$",
        '↓' => "$\\downarrow$",
        '−' => "$-$",
        '–' => "--",
        '—' => "---",
        '²' => "$^2$",
        '°' => "$^\\circ$",
        '\u{a0}' => "~",
        _ => return None,
    })
}

/// The environment of a float: starred over the whole page.
pub(super) fn float(what: &str, width: FigureWidth) -> String {
    match width {
        FigureWidth::Column => what.to_owned(),
        FigureWidth::Page => format!("{what}*"),
    }
}

/// A caption, or the name where none was written.
pub(super) fn caption(text: &str, name: &str) -> String {
    let text = if text.trim().is_empty() { name.replace('-', " ") } else { text.trim().to_owned() };
    format!("  \\caption{{{}}}\n", escape(&text))
}

/// Remarks below a float, in small letters; nothing where there are none.
pub(super) fn notes(remarks: &[String]) -> String {
    if remarks.is_empty() {
        return String::new();
    }
    let sentences: Vec<String> =
        remarks.iter().map(|r| format!("{}.", escape(r.trim_end_matches('.')))).collect();
    format!("  \\par\\smallskip\n  {{\\footnotesize {}}}\n", sentences.join(" "))
}

/// The float of a figure whose PDF lies at `file`, seen from the LaTeX file.
pub(super) fn figure(name: &str, file: &str, width: FigureWidth, text: &str, remarks: &[String]) -> String {
    let (env, across) = match width {
        FigureWidth::Column => (float("figure", width), "\\columnwidth"),
        FigureWidth::Page => (float("figure", width), "\\textwidth"),
    };
    format!(
        "\\begin{{{env}}}[t]\n  \\centering\n  \\includegraphics[width={across}]{{{file}}}\n{}  \\label{{fig:{name}}}\n{}\\end{{{env}}}\n",
        caption(text, name),
        notes(remarks),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_latex_acts_on_is_escaped() {
        let said = escape("50 % of a_b & {x} ~ ^ \\ # $ < >\n≥ 20 dB");
        assert_eq!(
            said,
            "50 \\% of a\\_b \\& \\{x\\} \\textasciitilde{} \\textasciicircum{} \\textbackslash{} \\# \\$ \\textless{} \\textgreater{} $\\geq$ 20 dB"
        );
    }
}
