// What everything else is made with. Text from records only ever becomes text nodes and attributes.
const D = JSON.parse(document.getElementById("data").textContent);
const NONE = "–";

/** An element with attributes (functions become listeners) and children. */
function el(tag, attributes, ...children) {
  const svg = ["svg", "line", "polyline", "circle", "rect", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
const cellOf = (number) => D.cells[number - 1];

/** A button that opens a cell. */
function opener(number, text) {
  return el("button", { type: "button", class: "open", "data-cell": number, "aria-label": `Open cell ${number}`, click: (e) => { e.stopPropagation(); openCell(number); } }, text ?? String(number));
}

/** The few marks of report.md: code, bold, null baselines, and cells by number. */
function rich(text) {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*null: [^*]+\*|#\d+(?=\)))/);
  return parts.filter((p) => p !== "").map((part) => {
    if (/^`[^`]+`$/.test(part)) return el("code", {}, part.slice(1, -1));
    if (/^\*\*[^*]+\*\*$/.test(part)) return el("strong", {}, part.slice(2, -2));
    if (/^\*null: [^*]+\*$/.test(part)) return el("em", {}, part.slice(1, -1));
    if (/^#\d+$/.test(part) && cellOf(Number(part.slice(1)))) return opener(Number(part.slice(1)), part);
    return part;
  });
}

/** "1-3, 7 (2)": numbers outside brackets open their cells. */
function numbers(text) {
  return text.split(/(\d+)(?![^(]*\))/).map((p, at) => (at % 2 && cellOf(Number(p)) ? opener(Number(p), p) : p));
}

/** A value with its interval set apart. */
function measured(text) {
  const at = text.search(/ \[-?[\d.]/);
  return at < 0 ? rich(text) : [...rich(text.slice(0, at)), el("span", { class: "ci" }, text.slice(at))];
}

const UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
const NUMBER = /^([+-]?)(inf|\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?:\s?(B|kB|MB|GB))?(?=$|[ \[(%])(?! [a-z])/;

/** What a shown value sorts by: [0, number], [1, text], or [2] where there is nothing. */
function sortKey(text) {
  if (text === "" || text === NONE || text === "-" || /^nan$/i.test(text)) return [2, 0];
  const found = NUMBER.exec(text.replace(/^([+-]?[\d.,]+) (points|dB|s)\b/, "$1"));
  if (!found) return [1, text.toLowerCase()];
  const value = found[2] === "inf" ? Infinity : Number(found[2].replaceAll(",", ""));
  return [0, (found[1] === "-" ? -1 : 1) * value * (UNITS[found[3]] ?? 1)];
}

/** Order of two keys; what is missing stays last in either direction. */
function byKey(a, b, sign) {
  if (a[0] !== b[0]) return a[0] - b[0];
  if (a[1] === b[1]) return 0;
  return sign * (a[1] < b[1] ? -1 : 1);
}

/** Copies `text`, and says so. */
async function copy(text, source) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    done = document.execCommand("copy");
  }
  say(done ? "Copied." : "Selected; copy it with Ctrl+C.");
}

let silence = 0;
function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => (said.textContent = ""), 3000);
}

/** Text to be copied. */
function copyable(text, label) {
  const code = el("code", {}, text);
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${label}`, click: () => copy(text, code) }, "Copy");
  return el("div", { class: "copyable" }, el("pre", { tabindex: 0, role: "region", "aria-label": label }, code), button);
}

/** Shows `list` a part at a time: `draw(item)` makes a node. */
function gradual(host, step, draw) {
  const box = el("div", { class: host.dataset.layout });
  const more = el("p", { class: "more" });
  let list = [], shown = 0;
  const grow = (by) => {
    const next = list.slice(shown, shown + by);
    box.append(...next.map(draw));
    shown += next.length;
    const left = list.length - shown;
    more.replaceChildren(...(left === 0 ? [] : [`${shown} of ${list.length} shown. `, el("button", { type: "button", click: () => grow(step) }, `Show ${Math.min(step, left)} more`)]));
  };
  host.append(box, more);
  return (items) => {
    list = items;
    shown = 0;
    box.replaceChildren(...(items.length ? [] : [el("p", { class: "empty" }, "Nothing matches the filter.")]));
    grow(step);
  };
}
