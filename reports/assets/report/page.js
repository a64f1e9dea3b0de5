// The page from top to bottom.
const main = document.getElementById("main");
let visibleCells = () => D.cells.map((_, at) => at + 1);

let place = main;

/** A section with its place in the list of sections; below the details it is folded away. */
function section(title, ...content) {
  const id = slug(title), folded = place !== main;
  const head = el("h2", { id: `${id}-title` }, title);
  const node = folded ? el("details", {}, el("summary", {}, head), content.flat()) : el("div", {}, head, content.flat());
  place.append(el("section", { id, "aria-labelledby": `${id}-title`, class: folded ? "folded" : null }, node));
  const open = () => { if (folded) node.open = true; };
  document.getElementById("toc").append(el("li", {}, el("a", { href: `#${id}`, class: folded ? "fine" : null, click: open }, title)));
  return node;
}

const lead = (text) => text.map((t) => el("p", { class: "lead" }, rich(t)));

function head() {
  document.getElementById("title").textContent = D.title;
  const verdict = document.getElementById("verdict");
  verdict.append(...D.verdict.map((t) => el("p", {}, rich(t))));
}

/** A figure as a picture; wide ones scroll where the page is narrow. */
function figure([name, caption, alt, wide, png]) {
  const link = el("a", { href: linkTo(`report/figures/${name}.svg`) }, "SVG");
  const image = png && el("img", { src: "data:image/png;base64," + png, alt });
  return el("figure", { class: wide ? "drawn wide" : "drawn" }, image && el("div", { class: "frame", tabindex: wide ? 0 : null, role: wide ? "region" : null, "aria-label": wide ? alt : null }, image), el("figcaption", {}, `${caption} (`, link, ")"));
}

const wideFirst = () => D.figures.filter(([, , , wide]) => wide);
const otherFigures = () => D.figures.filter(([, , , wide]) => !wide);

function hero() {
  const drawn = wideFirst();
  if (drawn.length) main.append(el("section", { id: "hero", "aria-label": "The same pictures behind each defense" }, drawn.map(figure)));
}

function figures() {
  const drawn = otherFigures();
  if (!drawn.length && !D.linked.length) return;
  const node = section("Figures", el("div", { class: "figures" }, drawn.map(figure)));
  if (D.linked.length) node.append(el("details", {}, el("summary", {}, `${D.linked.length} more figures`), el("ul", {}, D.linked.map(([name, caption]) => el("li", {}, el("a", { href: linkTo(`report/figures/${name}.svg`) }, name), `: ${caption}`)))));
}

/** The sections that a reader sees unfolded. */
function first() {
  for (const s of D.main) {
    const node = section(s.title, lead(s.text));
    if (s.head.every((h) => h === "")) node.append(pairs(s.rows));
    else new Table(node, { name: s.title, head: s.head, rows: s.rows });
    node.append(...lead(s.below));
  }
}

function overview() {
  const run = D.sections.find((s) => s.title === "Run");
  const node = section("Run", el("ul", { class: "tiles" }, D.tiles.map(([title, value, remark]) => el("li", {}, el("span", { class: "ci" }, title), el("b", {}, value), el("span", { class: "ci" }, rich(remark))))));
  const facts = run.rows.map(([k, v]) => [k, /^`.*`$/.test(v) ? copyable(v.slice(1, -1), k) : v]);
  node.append(pairs(facts));
}

function undefended() {
  const cells = D.cells.map((c, at) => [c, at + 1]).filter(([c]) => !c.defended && c.outcome !== "not applicable").map(([, n]) => n);
  if (!cells.length) return;
  const node = section("Attacks without a defense", el("p", { class: "lead" }, "Mean PSNR over images, with its 95 % interval where there are several. The upright mark is the floor, the strongest null baseline that needs no truth: a picture made without attacking anything. A bar that does not reach it (pale) gained nothing by attacking."));
  node.append(...bars(cells).filter(Boolean));
}

function cells(changed) {
  const node = section("Cells", el("p", { class: "lead" }, "A row opens its cell: threat model, pictures, every score beside the null baselines, costs, specification, and the command that reruns it. The filter also chooses the pictures and curves below. Column titles sort; missing values stay last."));
  const chosen = {};
  const choices = ["outcome", "attack", "defense"].map((title) => [title, D.table.head.indexOf(title)]).filter(([, c]) => c >= 0);
  const selects = choices.map(([title, c]) => {
    const values = [...new Set(D.table.rows.map((r) => r[c]))];
    if (values.length < 2) return null;
    const select = el("select", { "aria-label": `Only ${title}`, change: () => { chosen[c] = select.value; view.draw(); } }, el("option", { value: "" }, `any ${title}`), values.map((v) => el("option", { value: v }, v)));
    return select;
  });
  let view = null;
  const keep = (row) => Object.entries(chosen).every(([c, v]) => !v || row[c] === v);
  view = new Table(node, { name: "Cells", ...D.table, search: "filter", brief: true, tools: selects.filter(Boolean), keep, changed: (rows) => { visibleCells = () => rows.map((r) => Number(r[0])); changed(rows); } });
}

function pictures() {
  if (!IMAGES.some(hasPicture)) return () => {};
  const states = IMAGES.flatMap((i) => i.pair), of = (s) => states.filter((x) => x === s).length;
  const doubts = [[of("missing"), "are missing or unreadable"], [of("none"), "were not stored"], [of("linked"), "are linked instead of shown, because this page holds as many as it may"], [of("outside"), "lie outside the run folder"]].filter(([n]) => n);
  const text = "Truth to the left of the slider, reconstruction to the right; drag, or focus it and use the arrow keys." + (doubts.length ? ` Of ${states.length} pictures ${doubts.map(([n, what]) => `${n} ${what}`).join(", ")}.` : "");
  return gallery(section("Pictures", el("p", { class: "lead" }, text)));
}

function curves() {
  if (!D.traces.some(Boolean)) return () => {};
  const node = section("Objective curves", el("p", { class: "lead" }, "What each attack minimised, over its iterations, one line a trial."));
  const grid = el("div", { "data-layout": "plots" });
  node.append(grid);
  const show = gradual(grid, 24, (n) => el("figure", { class: "plot" }, curve(n), el("figcaption", {}, opener(n, `#${n}`), ` ${[cellOf(n).attack, cellOf(n).defended ? cellOf(n).defense : null, cellOf(n).setting].filter(Boolean).join(" · ")}`, thinned(n) && el("span", { class: "ci" }, ` · ${thinned(n)}`))));
  return (kept) => show([...kept].filter((n) => D.traces[n - 1]).sort((a, b) => a - b));
}

function report(title) {
  const s = D.sections.find((x) => x.title === title);
  if (!s) return;
  const node = section(title, lead(s.text));
  if (s.rows.length) new Table(node, { name: title, head: s.head, rows: s.rows });
  node.append(...lead(s.below));
}

function images() {
  if (!IMAGES.length) return;
  const left = D.images.left ? ` ${D.images.left} more images are in records.csv alone.` : "";
  const node = section("Images", el("p", { class: "lead" }, `Raw scores of every image, not capped.${left}`));
  new Table(node, { name: "Images", head: D.images.head, rows: D.images.rows });
}

function files() {
  const link = (href, what) => el("li", {}, el("a", { href }, href), `: ${what}`);
  section("Files", el("ul", {}, D.files.map(([href, what]) => link(href, what))));
}

function keys() {
  section("Keys", pairs([["/", "to the filter of the cells"], ["Tab, Enter", "through links, column titles and cells; Enter sorts or opens"], ["← →", "move a focused slider"], ["n, p", "next and previous cell while one is open"], ["Escape", "closes a cell; clears a filter"]].map(([k, v]) => [k, v])));
}

/** A training has no cells: its tables, one after the other. */
function training() {
  for (const s of D.sections) {
    if (!s.head.every((h) => h === "") || !s.rows.length) report(s.title);
    else section(s.title, pairs(s.rows.map(([k, v]) => [k, /^`.*`$/.test(v) ? copyable(v.slice(1, -1), k) : v])));
  }
  files();
}

function build() {
  head();
  hero();
  first();
  figures();
  place = el("div", { id: "details" }, el("h2", {}, "Details"));
  main.append(place);
  if (D.table === null) return training();
  undefended();
  report("Worst case over attacks");
  report("Privacy against utility");
  report("Threat models");
  let redraw = () => {};
  cells((rows) => redraw(rows));
  const updates = [pictures(), curves()];
  redraw = (rows) => { const kept = new Set(rows.map((r) => Number(r[0]))); updates.forEach((u) => u(kept)); };
  redraw(D.table.rows);
  const placed = ["Worst case over attacks", "Privacy against utility", "Threat models", "Cells", "Setting", "Run"];
  const late = ["Failed and not applicable", "Flags", "Notes"];
  D.sections.map((s) => s.title).filter((t) => !placed.includes(t) && !late.includes(t)).forEach(report);
  images();
  late.forEach(report);
  overview();
  report("Setting");
  files();
  keys();
}

document.addEventListener("keydown", (e) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) && e.target.type !== "range";
  if (e.key === "Escape" && e.target.type === "search" && e.target.value) { e.target.value = ""; e.target.dispatchEvent(new Event("input")); }
  if (typing || e.ctrlKey || e.metaKey || e.altKey) return;
  const filter = document.getElementById("filter");
  if (e.key === "/" && filter && !dialog.open) { e.preventDefault(); filter.closest("details").open = true; filter.focus(); }
  const by = { n: 1, p: -1 }[e.key];
  if (dialog.open && by) dialog.querySelector(`[data-step="${by}"]`)?.click();
});

// A link to a section that is folded away opens it, and paper has all of them.
const unfold = () => document.getElementById(location.hash.slice(1))?.querySelector(":scope > details")?.setAttribute("open", "");
addEventListener("hashchange", unfold);
addEventListener("beforeprint", () => document.querySelectorAll("#details details").forEach((d) => d.setAttribute("open", "")));

build();
unfold();
const wanted = /^#cell-([0-9a-f]+)$/.exec(location.hash);
const at = wanted ? D.cells.findIndex((c) => c.id === wanted[1]) : -1;
if (at >= 0) openCell(at + 1);
