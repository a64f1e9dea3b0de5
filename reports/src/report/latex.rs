//! A report as LaTeX; text that LaTeX sets as it was meant, and the environments around figures and
//! tables.

use super::model::{Block, Cell, Report, Section, Span, Table, Text};
use record::markdown::counted;
use suites::figure::FigureWidth;

/// How a sign without a command begins: no text of a user can, whose braces are escaped.
const UNKNOWN: &str = "{[}U+";

/// `text` with every character that LaTeX would act on escaped, on one line. All of it is ASCII:
/// signs become commands that every engine and font encoding has (with `textcomp`), and what has
/// none is named by its code point, which [`unknown`] counts.
pub(crate) fn escape(text: &str) -> String {
    set(text, |c| match c {
        '"' => Some("''"),
        '`' => Some("\\textasciigrave{}"),
        _ => None,
    })
}

/// A command as it is typed, in letters of one width: quotes stay straight and hyphens apart.
pub(crate) fn code(text: &str) -> String {
    let text = set(text, |c| match c {
        '"' => Some("\\string\""),
        '\'' => Some("\\textquotesingle{}"),
        '`' => Some("\\textasciigrave{}"),
        '-' => Some("-{}"),
        _ => None,
    });
    format!("\\texttt{{{text}}}")
}

/// Signs in a LaTeX text that had no command.
pub(crate) fn unknown(tex: &str) -> usize {
    tex.matches(UNKNOWN).count()
}

/// What must be said of a LaTeX text with such signs.
pub(crate) fn unknown_remark(tex: &str) -> Option<String> {
    let count = unknown(tex);
    let what = counted(count, "character");
    (count > 0)
        .then(|| format!("{what} without a LaTeX command, written as [U+...] in the .tex file"))
}

fn set(text: &str, own: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match own(c).or_else(|| sign(c)) {
            Some(command) => out.push_str(command),
            None if c.is_whitespace() || c.is_control() => out.push(' '),
            None if c.is_ascii() => out.push(c),
            None => out
                .push_str(&letter(c).unwrap_or_else(|| format!("{UNKNOWN}{:04X}]", u32::from(c)))),
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
        '·' | '⋅' => "$\\cdot$",
        '×' => "$\\times$",
        '÷' => "$\\div$",
        '±' => "$\\pm$",
        '≥' => "$\\geq$",
        '≤' => "$\\leq$",
        '≠' => "$\\neq$",
        '≈' => "$\\approx$",
        '∼' => "$\\sim$",
        '∝' => "$\\propto$",
        '∈' => "$\\in$",
        '∞' => "$\\infty$",
        '∑' => "$\\sum$",
        '∂' => "$\\partial$",
        '∇' => "$\\nabla$",
        '√' => "$\\surd$",
        '→' => "$\\rightarrow$",
        '←' => "$\\leftarrow$",
        '↔' => "$\\leftrightarrow$",
        '↑' => "$\\uparrow$",
        '↓' => "$\\downarrow$",
        '−' => "$-$",
        'ℓ' => "$\\ell$",
        '–' => "--",
        '—' => "---",
        '‘' => "`",
        '’' => "'",
        '“' => "``",
        '”' => "''",
        '…' => "\\ldots{}",
        '•' => "$\\bullet$",
        '°' => "$^\\circ$",
        '§' => "\\S{}",
        '©' => "\\textcopyright{}",
        '€' => "\\texteuro{}",
        '£' => "\\pounds{}",
        'ß' => "\\ss{}",
        'æ' => "\\ae{}",
        'Æ' => "\\AE{}",
        'œ' => "\\oe{}",
        'Œ' => "\\OE{}",
        'ø' => "\\o{}",
        'Ø' => "\\O{}",
        'ł' => "\\l{}",
        'Ł' => "\\L{}",
        '\u{a0}' => "~",
        _ => return None,
    })
}

/// Greek letters in the order of Unicode, from U+03B1; capitals from U+0391. Those that look Latin
/// have no command.
const GREEK: [&str; 25] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "o",
    "pi",
    "rho",
    "varsigma",
    "sigma",
    "tau",
    "upsilon",
    "varphi",
    "chi",
    "psi",
    "omega",
];
const GREEK_CAPITALS: [&str; 25] = [
    "A", "B", "Gamma", "Delta", "E", "Z", "H", "Theta", "I", "K", "Lambda", "M", "N", "Xi", "O",
    "Pi", "P", "", "Sigma", "T", "Upsilon", "Phi", "X", "Psi", "Omega",
];

/// Accents with the letters that carry them, and these without.
const ACCENTS: [(char, &str, &str); 10] = [
    ('`', "àèìòùÀÈÌÒÙ", "aeiouAEIOU"),
    ('\'', "áéíóúýćńśźÁÉÍÓÚÝĆŃŚŹ", "aeiouycnszAEIOUYCNSZ"),
    ('^', "âêîôûÂÊÎÔÛ", "aeiouAEIOU"),
    ('"', "äëïöüÿÄËÏÖÜ", "aeiouyAEIOU"),
    ('~', "ãñõÃÑÕ", "anoANO"),
    ('c', "çşÇŞ", "csCS"),
    ('v', "čďěňřšťžČĎĚŇŘŠŤŽ", "cdenrstzCDENRSTZ"),
    ('u', "ăğĂĞ", "agAG"),
    ('H', "őűŐŰ", "ouOU"),
    ('r', "åůÅŮ", "auAU"),
];

/// Powers and indices.
const RAISED: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const LOWERED: &str = "₀₁₂₃₄₅₆₇₈₉";

/// A Greek letter, one with an accent, or a digit above or below the line.
fn letter(c: char) -> Option<String> {
    let place = |list: &str| list.chars().position(|l| l == c);
    let greek = |first: u32, names: &[&str]| {
        let name = *names.get(usize::try_from(u32::from(c).checked_sub(first)?).ok()?)?;
        let single = name.len() == 1;
        (!name.is_empty()).then(|| if single { format!("${name}$") } else { format!("$\\{name}$") })
    };
    let accent = || {
        let (accent, at, plain) = ACCENTS
            .iter()
            .find_map(|(accent, letters, plain)| Some((accent, place(letters)?, plain)))?;
        Some(format!("\\{accent}{{{}}}", plain.chars().nth(at)?))
    };
    match c {
        'µ' => return Some("$\\mu$".into()),
        'ϵ' => return Some("$\\epsilon$".into()),
        'ϕ' => return Some("$\\phi$".into()),
        '⁻' => return Some("$^{-}$".into()),
        _ => {}
    }
    greek(0x3b1, &GREEK)
        .or_else(|| greek(0x391, &GREEK_CAPITALS))
        .or_else(accent)
        .or_else(|| Some(format!("$^{{{}}}$", place(RAISED)?)))
        .or_else(|| Some(format!("$_{{{}}}$", place(LOWERED)?)))
}

/// The environment of a float: starred over the whole page.
pub(crate) fn float(what: &str, width: FigureWidth) -> String {
    match width {
        FigureWidth::Column => what.to_owned(),
        FigureWidth::Page => format!("{what}*"),
    }
}

/// A caption, or the name where none was written.
pub(crate) fn caption(text: &str, name: &str) -> String {
    let text = if text.trim().is_empty() { name.replace('-', " ") } else { text.trim().to_owned() };
    format!("  \\caption{{{}}}\n", escape(&text))
}

/// Remarks below a float, in small letters; nothing where there are none.
pub(crate) fn notes(remarks: &[String]) -> String {
    if remarks.is_empty() {
        return String::new();
    }
    let sentences: Vec<String> =
        remarks.iter().map(|r| format!("{}.", escape(&capital(r.trim_end_matches('.'))))).collect();
    format!("  \\par\\smallskip\n  {{\\footnotesize {}}}\n", sentences.join(" "))
}

/// With a capital at its beginning.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The float of a figure whose PDF lies at `file`, seen from the LaTeX file. The file has its exact
/// width, so that letters keep their size.
pub(crate) fn figure(
    name: &str,
    file: &str,
    width: FigureWidth,
    text: &str,
    remarks: &[String],
) -> String {
    let env = float("figure", width);
    format!(
        "\\begin{{{env}}}[t]\n  \\centering\n  \\includegraphics{{{file}}}\n{}  \
         \\label{{fig:{name}}}\n{}\\end{{{env}}}\n",
        caption(text, name),
        notes(remarks),
    )
}

/// The size of a figure in a report: its own, and that of the page's no larger than fits there.
const NARROW: &str = "width=84mm,height=120mm,keepaspectratio";
const WIDE: &str = "width=178mm,height=160mm,keepaspectratio";

/// Keeps a heading with the first lines below it, a table's too: else a new page begins.
const KEPT: &str = "\\par\\ifdim\\dimexpr\\pagegoal-\\pagetotal<9\\baselineskip\\newpage\\fi\n";

/// The document of a report, which needs nothing but packages that every TeX has; its pictures lie
/// in `figures/` beside it.
pub(crate) fn render(report: &Report) -> String {
    format!(
        "\\documentclass[a4paper]{{article}}\n\\usepackage[landscape,margin=15mm]{{geometry}}\n\
         \\usepackage{{array,booktabs,graphicx,longtable,textcomp}}\n\
         \\setlength{{\\parindent}}{{0pt}}\n\
         \\title{{{}}}\n\\date{{}}\n\\begin{{document}}\n\\maketitle\n{}{}\\end{{document}}\n",
        escape(&report.title),
        report.sections.iter().map(section).collect::<String>(),
        appendix(&report.details)
    )
}

/// What is folded away on a screen.
fn appendix(details: &[Section]) -> String {
    if details.is_empty() {
        return String::new();
    }
    let one = |own: &Section| {
        let blocks: String = own.blocks.iter().map(block).collect();
        format!("\\section{{{}}}\n{blocks}", escape(&own.title))
    };
    format!("\\appendix\n{}", details.iter().map(one).collect::<String>())
}

fn section(section: &Section) -> String {
    let head = if section.title.is_empty() {
        String::new()
    } else {
        format!("{KEPT}\\section*{{{}}}\n", escape(&section.title))
    };
    std::iter::once(head).chain(section.blocks.iter().map(block)).collect()
}

fn block(block: &Block) -> String {
    match block {
        Block::Paragraph(text) => format!("{}\n\n", line(text)),
        Block::Table(table) => long_table(table),
        Block::Figure(figure) => format!(
            "\\begin{{center}}\n  \\includegraphics[{}]{{figures/{}.png}}\n\n  \
             {}\n\\end{{center}}\n",
            if figure.wide { WIDE } else { NARROW },
            figure.name,
            escape(&figure.caption)
        ),
        Block::List(items) => {
            let items: String = items.iter().map(|i| format!("  \\item {}\n", line(i))).collect();
            format!("\\begin{{itemize}}\n{items}\\end{{itemize}}\n")
        }
    }
}

/// A line of text; links show where they lead.
pub(crate) fn line(text: &Text) -> String {
    let one = |span: &Span| match span {
        Span::Words(text) => escape(text),
        Span::Code(text) => code(text),
        Span::Strong(text) => format!("\\textbf{{{}}}", escape(text)),
        Span::Emphasis(text) => format!("\\emph{{{}}}", escape(text)),
        Span::Link(_, to) => code(to),
    };
    text.0.iter().map(one).collect()
}

/// A table over as many pages as it takes, its columns of equal width.
fn long_table(table: &Table) -> String {
    let each = 0.94 / table.head.len().max(1) as f64;
    let numbers = |at: usize| {
        let mut cells = table.rows.iter().map(|row| &row[at]).peekable();
        cells.peek().is_some() && cells.all(|c| matches!(c, Cell::Number(_) | Cell::None))
    };
    let column = |at: usize| {
        let side = if numbers(at) { "\\raggedleft" } else { "\\raggedright" };
        format!(">{{{side}\\arraybackslash}}p{{{each:.3}\\linewidth}}")
    };
    let columns: String = (0..table.head.len()).map(column).collect();
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => line(text),
        Cell::Number(text) => escape(text),
        Cell::None => "--".into(),
    };
    let row = |cells: Vec<String>| format!("  {} \\\\\n", cells.join(" & "));
    let rows: String =
        table.rows.iter().map(|cells| row(cells.iter().map(cell).collect())).collect();
    let titled = table.head.iter().any(|title| !title.is_empty());
    let head = row(table.head.iter().map(|title| escape(title)).collect()) + "  \\midrule\n";
    format!(
        "{{\\scriptsize\\setlength{{\\tabcolsep}}{{2pt}}\n\\begin{{longtable}}{{{columns}}}\n  \
         \\toprule\n{}  \\endhead\n{rows}  \\bottomrule\n\
         \\end{{longtable}}\n}}\n",
        if titled { head } else { String::new() }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{Figure, row};

    #[test]
    fn pages_hold_what_stands_on_them() {
        let figure = |wide| {
            let (name, alt, caption) = ("tall".into(), String::new(), "All.".into());
            block(&Block::Figure(Figure { name, alt, caption, wide }))
        };
        // As tall as a page, a figure would lose its foot.
        assert!([true, false].map(figure).iter().all(|f| f.contains(",height=1")));
        let mut table = Table::new(["", ""]);
        table.push(row!["device", "cpu"]);
        let text = section(&Section::new("Where").table(table, ""));
        assert!(text.starts_with("\\par\\ifdim\\dimexpr\\pagegoal"), "{text}");
        assert!(!text.contains("midrule"), "an empty head has no rule: {text}");
    }

    #[test]
    fn a_report_is_a_document() {
        let mut table = Table::new(["a_b", "PSNR (dB) ↑"]);
        table.push(row![Text::code("x -y"), Cell::Number("12.00 [11, 13]".into())]);
        table.push(row!["50 %", Cell::None]);
        let list = vec![Text(vec![Span::Link("all".into(), "a.csv".into())])];
        let section = Section::new("One & two").paragraph("ε").table(table, "").list(list);
        let details = vec![Section::new("More & more").paragraph("x")];
        let tex = render(&Report { title: "Suite a_b".into(), sections: vec![section], details });
        let wanted = [
            "\\title{Suite a\\_b}",
            "\\section*{One \\& two}\n$\\varepsilon$\n",
            "\\raggedleft\\arraybackslash}p{0.470\\linewidth}}\n",
            "  \\texttt{x -{}y} & 12.00 [11, 13] \\\\\n  50 \\% & -- \\\\\n",
            "\\item \\texttt{a.csv}",
            "\\appendix\n\\section{More \\& more}\nx\n",
        ];
        wanted.iter().for_each(|w| assert!(tex.contains(w), "{w} is not in {tex}"));
        assert!(tex.is_ascii() && tex.matches('{').count() == tex.matches('}').count());
    }

    #[test]
    fn everything_that_latex_acts_on_is_escaped() {
        let said = escape("50 % of a_b & {x} ~ ^ \\ # $ < >\n≥ 20 dB");
        assert_eq!(
            said,
            "50 \\% of a\\_b \\& \\{x\\} \\textasciitilde{} \\textasciicircum{} \\textbackslash{} \
             \\# \\$ \\textless{} \\textgreater{} $\\geq$ 20 dB"
        );
    }

    #[test]
    fn signs_become_commands_of_every_engine() {
        let said = escape("ε ≈ 10⁻² “ä” \"a\" it's Δ Ω ł 漢 {[}U+");
        assert_eq!(
            said,
            "$\\varepsilon$ $\\approx$ 10$^{-}$$^{2}$ ``\\\"{a}'' ''a'' it's $\\Delta$ $\\Omega$ \
             \\l{} {[}U+6F22] \\{[\\}U+"
        );
        assert!(said.is_ascii() && unknown(&said) == 1);
        assert!(unknown_remark(&said).unwrap().starts_with("1 character without"));
    }

    #[test]
    fn commands_stay_as_they_are_typed() {
        let said = code("bench --set a='`x`' \"y\"");
        assert_eq!(
            said,
            "\\texttt{bench \
             -{}-{}set \
             a=\\textquotesingle{}\\textasciigrave{}x\\textasciigrave{}\\textquotesingle{} \
             \\string\"y\\string\"}"
        );
    }

    #[test]
    fn remarks_are_sentences() {
        let said = notes(&["in brackets: x".into(), "3 values".into(), "ε is y.".into()]);
        assert!(said.contains("In brackets: x. 3 values."), "{said}");
    }
}
