// Tables that sort and filter.
const ROWS = 100;
const tables = [];

/** A line that says that `box` scrolls, seen only while it does. */
function hint(box) {
  const line = el("p", { class: "hint", "aria-hidden": "true" }, "Scroll sideways for all columns →");
  const look = () => line.classList.toggle("shown", box.scrollWidth > box.clientWidth + 1);
  new ResizeObserver(look).observe(box);
  return line;
}

/** Words that must all occur in a row, and conditions such as psnr>20. */
function conditions(text, head) {
  return text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const found = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(word);
    const plain = (t) => t.toLowerCase().replace(/[^a-z0-9ε#]/g, "");
    const column = found ? head.findIndex((h) => plain(h).startsWith(plain(found[1])) && plain(found[1]) !== "") : -1;
    if (column < 0) return (row) => row.some((c) => c.toLowerCase().includes(word.toLowerCase()));
    const [rank, wanted] = sortKey(found[3]);
    return (row) => {
      const [own, value] = sortKey(row[column]);
      if (found[2] === "=") return rank === 0 ? own === 0 && value === wanted : row[column].toLowerCase().includes(found[3].toLowerCase());
      if (own !== 0 || rank !== 0) return false;
      return { "<": value < wanted, ">": value > wanted, "<=": value <= wanted, ">=": value >= wanted }[found[2]];
    };
  });
}

class Table {
  /** `o`: name, head, rows; optional main (columns shown at first), brief (long texts cut), tools (more controls), keep(row), changed(rows), search (id of the filter). */
  constructor(host, o) {
    Object.assign(this, { main: null, keep: () => true, changed: () => {}, limit: ROWS, sorted: null, wide: false, query: "" }, o);
    this.numeric = this.head.map((_, c) => {
      const ranks = this.rows.map((r) => sortKey(r[c])[0]);
      return ranks.includes(0) && !ranks.includes(1);
    });
    this.body = el("tbody");
    this.heads = el("tr");
    this.count = el("span", { class: "count", role: "status" });
    this.more = el("p", { class: "more" });
    const table = el("table", {}, el("caption", { class: "hidden" }, this.name), el("thead", {}, this.heads), this.body);
    const box = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${this.name}, table` }, table);
    host.append(this.toolbar(), hint(box), box, this.more);
    tables.push(this);
    this.draw();
  }

  toolbar() {
    const bar = el("div", { class: "tools" });
    if (this.rows.length > 5 || this.search) {
      const input = el("input", { type: "search", placeholder: this.search ? "Filter: words, or psnr>20   ( / )" : "Filter", "aria-label": `Filter ${this.name}`, id: this.search ?? null, autocomplete: "off", spellcheck: "false" });
      input.addEventListener("input", () => { this.query = input.value; this.limit = ROWS; this.draw(); });
      this.input = input;
      bar.append(input, ...(this.tools ?? []));
    }
    if (this.main?.includes(false)) {
      const all = el("button", { type: "button", "aria-pressed": "false", click: () => { this.wide = !this.wide; all.setAttribute("aria-pressed", this.wide); this.draw(); } }, "All columns");
      bar.append(all);
    }
    if (bar.childNodes.length) bar.append(this.count);
    return bar;
  }

  columns() {
    return this.head.map((_, c) => c).filter((c) => this.wide || !this.main || this.main[c]);
  }

  sortBy(column) {
    const sign = this.sorted?.column === column ? { 1: -1, [-1]: 0 }[this.sorted.sign] : 1;
    this.sorted = sign ? { column, sign } : null;
    this.draw();
  }

  /** Rows that pass, in order. */
  visible() {
    const tests = conditions(this.query, this.head);
    let rows = this.rows.filter((row) => this.keep(row) && tests.every((t) => t(row)));
    if (this.sorted) {
      const { column, sign } = this.sorted;
      const keyed = rows.map((row) => [this.head[column] === "id" ? [1, row[column]] : sortKey(row[column]), row]);
      rows = keyed.sort((a, b) => byKey(a[0], b[0], sign)).map((k) => k[1]);
    }
    return rows;
  }

  draw() {
    const columns = this.columns(), rows = this.visible();
    const focused = this.heads.contains(document.activeElement) ? document.activeElement.dataset.column : null;
    this.heads.replaceChildren(...columns.map((c) => this.headCell(c)));
    if (focused !== null) this.heads.querySelector(`[data-column="${focused}"]`)?.focus();
    this.body.replaceChildren(...rows.slice(0, this.limit).map((row) => this.row(row, columns)));
    this.count.textContent = rows.length === this.rows.length ? `${rows.length} rows` : `${rows.length} of ${this.rows.length} rows`;
    const left = rows.length - Math.min(this.limit, rows.length);
    const grow = (by) => () => { this.limit += by; this.draw(); };
    this.more.replaceChildren(...(left ? [`${this.limit} of ${rows.length} rows shown. `, el("button", { type: "button", click: grow(ROWS) }, `Show ${Math.min(ROWS, left)} more`), " ", el("button", { type: "button", click: grow(Infinity) }, "Show all")] : []));
    if (rows.length === 0) this.body.append(el("tr", {}, el("td", { class: "empty", colspan: columns.length }, "No row matches the filter.")));
    this.changed(rows);
  }

  headCell(c) {
    const way = this.sorted?.column === c ? this.sorted.sign : 0;
    const button = el("button", { type: "button", "data-column": c, click: () => this.sortBy(c) }, this.head[c] || "value", el("span", { class: "way", "aria-hidden": "true" }, { 1: " ▲", [-1]: " ▼", 0: "" }[way]));
    return el("th", { scope: "col", class: this.numeric[c] ? "number" : null, "aria-sort": { 1: "ascending", [-1]: "descending", 0: "none" }[way] }, button);
  }

  row(row, columns) {
    const number = this.head[0] === "#" && row[0] !== "" ? Number(row[0]) : null;
    const cells = columns.map((c) => {
      const own = /^cells/.test(this.head[c]) ? numbers(row[c]) : c === 0 && number ? [opener(number)] : measured(row[c]);
      const long = row[c].length > 40 && !this.numeric[c], brief = long && this.brief;
      const kinds = [this.numeric[c] && "number", long && (brief ? "brief" : "long"), row[c] === "failed" && "bad"].filter(Boolean);
      return el("td", { class: kinds.join(" ") || null, title: brief ? row[c] : null }, own);
    });
    const open = number ? () => { if (String(getSelection()) === "") openCell(number); } : null;
    return el("tr", { class: this.head[0] === "#" && !number ? "null" : open ? "opens" : null, ...(open ? { click: open } : {}) }, cells);
  }
}

// All of a table goes to paper.
addEventListener("beforeprint", () => tables.forEach((t) => { t.limit = Infinity; t.draw(); }));
addEventListener("afterprint", () => tables.forEach((t) => { t.limit = ROWS; t.draw(); }));
