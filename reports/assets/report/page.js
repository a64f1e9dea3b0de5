// The page from top to bottom.
const main = document.getElementById("main");
let visibleCells = () => D.cells.map((_, at) => at + 1);

/** A section with its place in the list of sections; null where it has nothing to show. */
function section(title, ...content) {
  const id = slug(title);
  const node = el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), content.flat());
  document.getElementById("toc").append(el("li", {}, el("a", { href: `#${id}` }, title)));
  main.append(node);
  return node;
}

const lead = (text) => text.map((t) => el("p", { class: "lead" }, rich(t)));

function head() {
  document.getElementById("title").textContent = D.title;
  const plain = D.description.split(/\s+/).join(" "), overview = D.sections[0];
  document.getElementById("description").textContent = plain;
  const failed = D.cells.filter((c) => c.outcome === "failed").length;
  const parts = [];
  if (D.open) parts.push(`This run is not finished: ${D.open} of ${D.open + D.cells.length} cells have no record yet. The report is of what is there.`);
  if (failed) parts.push(`${failed} cells failed; see Failed and not applicable.`);
  const state = document.getElementById("state");
  state.textContent = parts.join(" ");
  state.className = parts.length ? "warn" : "";
  return overview.text.filter((t) => t !== plain);
}

function overview(remarks) {
  const node = section("Overview", el("ul", { class: "tiles" }, D.tiles.map(([title, value, remark]) => el("li", {}, el("span", { class: "ci" }, title), el("b", {}, value), el("span", { class: "ci" }, rich(remark))))));
  const facts = D.sections[0].rows.map(([k, v]) => [k, /^`.*`$/.test(v) ? copyable(v.slice(1, -1), k) : v]);
  node.append(pairs(facts));
  if (remarks.length) node.append(el("div", { class: "warn" }, remarks.map((r) => el("p", {}, rich(r)))));
}

function undefended() {
  const cells = D.cells.map((c, at) => [c, at + 1]).filter(([c]) => !c.defended && c.outcome !== "not applicable").map(([, n]) => n);
  const node = section("Attacks without a defense", el("p", { class: "lead" }, "Mean PSNR over images, with its 95 % interval where there are several. The upright mark is the best null baseline: a picture made without attacking anything. A bar that does not reach it (pale) gained nothing by attacking."));
  node.append(...(cells.length ? bars(cells).filter(Boolean) : [el("p", {}, "Every attacked cell of this run has a defense.")]));
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
  if (!IMAGES.some(hasPicture)) { section("Pictures", el("p", {}, "No picture was stored.")); return () => {}; }
  const states = IMAGES.flatMap((i) => i.pair), of = (s) => states.filter((x) => x === s).length;
  const doubts = [[of("missing"), "are missing or unreadable"], [of("none"), "were not stored"], [of("linked"), "are linked instead of shown, because this page holds as many as it may"], [of("outside"), "lie outside the run folder"]].filter(([n]) => n);
  const text = "Truth to the left of the slider, reconstruction to the right; drag, or focus it and use the arrow keys." + (doubts.length ? ` Of ${states.length} pictures ${doubts.map(([n, what]) => `${n} ${what}`).join(", ")}.` : "");
  return gallery(section("Pictures", el("p", { class: "lead" }, text)));
}

function curves() {
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
}

function images() {
  if (!IMAGES.length) return;
  const left = D.images.left ? ` ${D.images.left} more images are in records.csv alone.` : "";
  const node = section("Images", el("p", { class: "lead" }, `Raw scores of every image, not capped.${left}`));
  new Table(node, { name: "Images", head: D.images.head, rows: D.images.rows });
}

function files() {
  const link = (href, what) => el("li", {}, el("a", { href }, href), `: ${what}`);
  const node = section("Files", el("ul", {}, link("report.md", "the same tables as Markdown"), link("records.csv", "one row per image and metric"), link("cells.csv", "one row per cell"), link("summary.json", "all of this for programs"), link("../artifacts/", "pictures and tensors of every cell")));
  if (D.figures.length) node.append(el("details", {}, el("summary", {}, `${D.figures.length} figures`), el("ul", {}, D.figures.map(([name, caption]) => el("li", {}, el("a", { href: linkTo(`report/figures/${name}.svg`) }, name), ` ${caption}`)))));
}

function keys() {
  section("Keys", pairs([["/", "to the filter of the cells"], ["Tab, Enter", "through links, column titles and cells; Enter sorts or opens"], ["← →", "move a focused slider"], ["n, p", "next and previous cell while one is open"], ["Escape", "closes a cell; clears a filter"]].map(([k, v]) => [k, v])));
}

function build() {
  const remarks = head();
  overview(remarks);
  undefended();
  report("Worst case over attacks");
  report("Privacy against utility");
  report("Threat models");
  let redraw = () => {};
  cells((rows) => redraw(rows));
  const updates = [pictures(), curves()];
  redraw = (rows) => { const kept = new Set(rows.map((r) => Number(r[0]))); updates.forEach((u) => u(kept)); };
  redraw(D.table.rows);
  const placed = ["Worst case over attacks", "Privacy against utility", "Threat models", "Cells", "Setting"];
  const late = ["Failed and not applicable", "Flags", "Notes"];
  D.sections.slice(1).map((s) => s.title).filter((t) => !placed.includes(t) && !late.includes(t)).forEach(report);
  images();
  [...late, "Setting"].forEach(report);
  files();
  keys();
}

document.addEventListener("keydown", (e) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) && e.target.type !== "range";
  if (e.key === "Escape" && e.target.type === "search" && e.target.value) { e.target.value = ""; e.target.dispatchEvent(new Event("input")); }
  if (typing || e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "/" && !dialog.open) { e.preventDefault(); document.getElementById("filter").focus(); }
  const by = { n: 1, p: -1 }[e.key];
  if (dialog.open && by) dialog.querySelector(`[data-step="${by}"]`)?.click();
});

build();
const wanted = /^#cell-([0-9a-f]+)$/.exec(location.hash);
const place = wanted ? D.cells.findIndex((c) => c.id === wanted[1]) : -1;
if (place >= 0) openCell(place + 1);
