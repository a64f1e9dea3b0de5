// Objective curves and bars, drawn as SVG.
const WIDTH = 280, HEIGHT = 130, LEFT = 52, RIGHT = 8, TOP = 8, BOTTOM = 20;

/** A number in few digits. */
function brief(v, digits = 3) {
  const size = Math.abs(v);
  return v !== 0 && (size < 1e-3 || size >= 1e5) ? v.toExponential(digits - 2) : String(Number(v.toPrecision(digits)));
}

/** Two numbers in as many digits as it takes to tell them apart. */
function apart(a, b) {
  const digits = [3, 4, 5, 6].find((d) => brief(a, d) !== brief(b, d)) ?? 3;
  return [brief(a, digits), brief(b, digits)];
}

/** The objective of a cell over its iterations, one line a trial. */
function curve(number) {
  const t = D.traces[number - 1];
  if (!t) return el("p", { class: "absent" }, "No trace: the attack records no objective, or did not run.");
  const values = t.y.flat().filter((v) => v !== null);
  if (values.length === 0) return el("p", { class: "absent" }, "The objective was never finite.");
  const log = values.every((v) => v > 0) && Math.max(...values) / Math.min(...values) > 20;
  const f = log ? Math.log10 : (v) => v;
  let low = f(Math.min(...values)), high = f(Math.max(...values));
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const last = t.x.at(-1) || 1;
  const x = (v) => LEFT + (v / last) * (WIDTH - LEFT - RIGHT), y = (v) => TOP + ((high - f(v)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const svg = el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Objective of cell ${number}: from ${brief(values[0])} to ${brief(t.y[0].findLast((v) => v !== null) ?? values.at(-1))} in ${last} iterations` });
  svg.append(el("line", { class: "axis", x1: LEFT, y1: HEIGHT - BOTTOM, x2: WIDTH - RIGHT, y2: HEIGHT - BOTTOM }), el("line", { class: "axis", x1: LEFT, y1: TOP, x2: LEFT, y2: HEIGHT - BOTTOM }));
  const label = (px, py, anchor, text) => svg.append(el("text", { x: px, y: py, "text-anchor": anchor }, text));
  const [top, bottom] = log ? apart(10 ** high, 10 ** low) : apart(high, low);
  label(LEFT - 4, TOP + 8, "end", top);
  label(LEFT - 4, HEIGHT - BOTTOM, "end", bottom);
  label(LEFT, HEIGHT - 6, "start", "0");
  label(WIDTH - RIGHT, HEIGHT - 6, "end", `${last}`);
  label((WIDTH + LEFT) / 2, HEIGHT - 6, "middle", log ? "iteration (log objective)" : "iteration");
  t.y.forEach((line, trial) => segments(t.x, line).forEach((s) => {
    if (s.length === 1) svg.append(el("circle", { class: `line l${trial % 4}`, cx: x(s[0][0]), cy: y(s[0][1]), r: 2 }));
    else svg.append(el("polyline", { class: `line l${trial % 4}`, points: s.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }));
  }));
  return svg;
}

/** What was thinned out of a trace, and what in it was not finite. */
function thinned(number) {
  const t = D.traces[number - 1], parts = [];
  if (!t) return "";
  const holes = t.y.flat().filter((v) => v === null).length;
  if (t.y.length < t.trials) parts.push(`${t.y.length} of ${t.trials} trials`);
  if (t.x.length < t.points) parts.push(`${t.x.length} of ${t.points} points`);
  if (holes) parts.push(`${holes} points not finite, left out`);
  return parts.join("; ");
}

/** A line cut where values are missing. */
function segments(xs, ys) {
  const out = [];
  let open = false;
  ys.forEach((v, i) => {
    if (v === null) { open = false; return; }
    if (open) out.at(-1).push([xs[i], v]); else out.push([[xs[i], v]]);
    open = true;
  });
  return out;
}

/** Mean PSNR with its interval against the floor, a row a cell. */
function bars(cells) {
  const shown = cells.slice(0, 40), known = shown.flatMap((n) => cellOf(n).psnr ?? []).filter((v) => v !== null);
  const top = Math.max(10, ...known) * 1.04, low = Math.min(0, ...known), x = (v) => ((v - low) / (top - low)) * 300;
  const rows = shown.map((number) => {
    const cell = cellOf(number), p = cell.psnr, name = [cell.attack, cell.setting].filter(Boolean).join(" · ");
    const text = p && p[0] !== null ? `${p[0].toFixed(2)} dB` : cell.outcome === "failed" ? "failed" : "not scored";
    const floor = p && p[3] !== null ? `floor ${p[3].toFixed(2)}` : "no floor";
    const svg = el("svg", { viewBox: "0 0 300 16", preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(el("rect", { class: "track", x: 0, y: 4, width: 300, height: 8 }));
    if (p && p[0] !== null) {
      svg.append(el("rect", { class: p[3] !== null && p[0] <= p[3] ? "bar under" : "bar", x: x(Math.min(0, p[0])), y: 4, width: Math.max(1, Math.abs(x(p[0]) - x(0))), height: 8 }));
      if (p[1] !== null && p[2] !== null) svg.append(el("line", { class: "whisker", x1: x(p[1]), x2: x(p[2]), y1: 8, y2: 8 }));
      if (p[3] !== null) svg.append(el("line", { class: "nullmark", x1: x(p[3]), x2: x(p[3]), y1: 0, y2: 16 }));
    }
    return el("li", {}, el("span", { class: "name" }, opener(number, `#${number}`), ` ${name}`), svg, el("span", { class: "value" }, text, el("span", { class: "ci" }, ` · ${floor}`)));
  });
  const rest = cells.length - shown.length;
  return [el("ul", { class: "bars" }, rows), rest > 0 && el("p", { class: "lead" }, `${rest} more cells are in the table of cells.`)];
}
