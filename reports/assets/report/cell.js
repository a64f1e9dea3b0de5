// One cell in full.
const dialog = document.getElementById("cell");
let current = null;

const textOf = (lines) => lines.map((at) => D.texts[at]).join("\n") + "\n";

/** What to paste into a shell to run exactly this cell again. */
function rerun(cell) {
  const file = `cell-${cell.id}.toml`;
  return `cat > ${file} <<'EOF'\n${textOf(cell.toml)}EOF\nbench suite ${file}${D.flags} --out runs/cell-${cell.id}\n`;
}

function pairs(list) {
  return el("dl", { class: "facts" }, list.flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, typeof v === "string" ? measured(v) : v)]));
}

function part(title, ...content) {
  const kept = content.flat().filter(Boolean);
  return kept.length ? el("section", {}, el("h3", {}, title), kept) : null;
}

/** The rows of a report's table that speak of cell `number`, and after them its world's null baselines. */
function rowsOf(section, number) {
  const at = section.rows.findIndex((r) => r[0] === String(number));
  if (section.head[0] !== "#" || at < 0) return [];
  const rows = section.rows.filter((r) => r[0] === String(number)), world = cellOf(number).world;
  for (let i = at + 1; i < section.rows.length; i++) {
    const own = section.rows[i][0];
    if (own === "" ? true : cellOf(Number(own)).world !== world) {
      for (; i < section.rows.length && section.rows[i][0] === ""; i++) rows.push(section.rows[i]);
      break;
    }
  }
  return rows;
}

/** Such rows turned on their side: a line a measure, a column the attack and each null baseline. */
function measures(title, number) {
  const section = D.sections.find((s) => s.title === title);
  const rows = section ? rowsOf(section, number) : [];
  if (rows.length === 0) return null;
  const skip = ["#", "attack", "defense", "setting"];
  const lines = section.head.map((h, c) => [h, ...rows.map((r) => r[c])]).filter((l, c) => !(skip.includes(section.head[c]) && c < 4) && l.slice(1).some((v) => v !== "" && v !== NONE));
  if (rows.length === 1) return part(title, pairs(lines));
  const head = ["", ...rows.map((r) => r[1])];
  const table = el("table", {}, el("thead", {}, el("tr", {}, head.map((h) => el("th", { scope: "col" }, rich(h))))), el("tbody", {}, lines.map((l) => el("tr", {}, l.map((v, i) => el(i ? "td" : "th", i ? {} : { scope: "row" }, i ? measured(v) : v))))));
  return part(title, el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title} of cell ${number}` }, table));
}

function defenses(cell) {
  return cell.claims.map(([name, claim, adaptive]) => el("p", {}, el("strong", {}, name), `: ${claim}; ${adaptive}.`));
}

function spec(cell) {
  if (!cell.toml) return [el("p", {}, "This specification holds a value that no suite file can express, so there is no command for it."), copyable(cell.spec, "specification as JSON")];
  return [
    el("p", { class: "lead" }, "Paste this into a shell: it writes a suite of this one cell, with everything spelled out, and runs it in a folder of its own."),
    copyable(rerun(cell), "command that reruns this cell"),
    el("details", {}, el("summary", {}, "The suite file alone (TOML)"), copyable(textOf(cell.toml), "suite of this one cell as TOML")),
  ];
}

function content(number) {
  const cell = cellOf(number), images = IMAGES.filter((i) => i.cell === number), pictured = images.filter(hasPicture);
  const flags = Object.entries(cell.flags).map(([f, n]) => `${f} (${n})`).join(", ");
  const grid = el("div", { "data-layout": "cards" });
  gradual(grid, 12, (i) => card(i, false))(pictured);
  const none = images.length === 0 ? "No image was scored." : "No picture was stored.";
  return [
    cell.why && el("p", { class: "warn" }, `${cell.outcome} ${cell.why}`, cell.lost ? ` ${cell.lost} images count as tries without success.` : ""),
    part("Threat model", cell.threat !== null && el("p", {}, rich(D.texts[cell.threat] || "not recorded")), defenses(cell), cell.defended && cell.claims.length === 0 && el("p", {}, "No claim of the defense was recorded.")),
    part("Pictures", pictured.length ? grid : el("p", { class: "absent" }, none)),
    ...["Reconstruction", "Success rates", "Defenses", "Published values"].map((t) => measures(t, number)),
    part("Objective", el("div", { class: "plot" }, curve(number)), thinned(number) && el("p", { class: "ci" }, thinned(number))),
    measures("Cost and utility", number),
    part("Seconds by phase", cell.phases.length > 0 && pairs(cell.phases)),
    part("Seconds of the protocol in one round", cell.rounds.length > 0 && pairs(cell.rounds)),
    part("Flags", el("p", {}, flags || "None.")),
    part("Notes", cell.notes.length > 0 && el("ul", {}, cell.notes.map((n) => el("li", {}, D.texts[n])))),
    part("Run it again", spec(cell)),
    part("Files", el("p", {}, el("a", { href: linkTo(`artifacts/${cell.id}`) + "/" }, `artifacts/${cell.id}/`), " (every picture and tensor that was stored)")),
  ];
}

function openCell(number) {
  const cell = cellOf(number), others = visibleCells(), at = others.indexOf(number);
  const step = (by, text, key) => el("button", { type: "button", "data-step": by, disabled: at < 0 || !others[at + by], title: `key ${key}`, click: () => openCell(others[at + by]) }, text);
  const title = [cell.attack, cell.defended ? cell.defense : "no defense", cell.setting].filter(Boolean).join(" · ");
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", title: "key Escape", click: () => dialog.close() }, "✕");
  const head = el("header", {}, el("div", {}, el("h2", { id: "cell-title" }, `Cell ${number}`), el("p", {}, title), el("p", { class: "ci" }, el("code", {}, cell.id), " · ", el("span", { class: cell.outcome === "failed" ? "bad" : null }, cell.outcome))), el("div", { class: "steps" }, step(-1, "Previous", "p"), step(1, "Next", "n"), close));
  dialog.replaceChildren(head, ...content(number).filter(Boolean));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  close.focus();
  current = number;
  history.replaceState(null, "", `#cell-${cell.id}`);
}

dialog.addEventListener("close", () => {
  history.replaceState(null, "", "#cells");
  document.querySelector(`#cells [data-cell="${current}"]`)?.focus();
  current = null;
});
dialog.addEventListener("click", (e) => { if (e.target === dialog) dialog.close(); });
