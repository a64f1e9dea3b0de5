// Truth and reconstruction, one over the other.
const WHY = { none: "not stored", missing: "missing from the run folder, or unreadable", outside: "stored outside the run folder, not opened", linked: "not in this page, which holds as many pictures as it may" };
const IMAGES = D.images.rows.map((row, at) => ({ at, row, cell: Number(row[0]), pair: D.images.pictures[at] }));

const pathOf = (image, side) => image.pair[2 + side] ?? `artifacts/${cellOf(image.cell).id}/trial-${image.row[1]}-${image.row[2]}-${["truth", "guess"][side]}.png`;
const linkTo = (path) => "../" + path.split("/").map(encodeURIComponent).join("/");
const shown = (picture) => typeof picture === "number";
const hasPicture = (image) => image.pair.some((p) => p !== "none");

function picture(image, side) {
  const what = ["Truth", "Reconstruction"][side];
  return el("img", { class: ["truth", "guess"][side], src: "data:image/png;base64," + D.images.thumbnails[image.pair[side]], alt: `${what} of image ${image.row[2]} in trial ${image.row[1]}, cell ${image.cell}`, draggable: "false" });
}

/** A side that has no picture says why. */
function absent(image, side) {
  const what = ["truth", "reconstruction"][side], state = image.pair[side];
  const link = state === "linked" ? [" ", el("a", { href: linkTo(pathOf(image, side)) }, "open the file")] : [];
  return el("p", { class: "absent" }, `${what}: ${WHY[state]}.`, link);
}

function slider(image) {
  const [truth, guess] = image.pair.map(shown);
  if (!truth && !guess) return el("div", { class: "stack blank" }, absent(image, 0), absent(image, 1));
  if (!truth || !guess) return el("div", { class: "stack half" }, picture(image, truth ? 0 : 1), absent(image, truth ? 1 : 0));
  const stack = el("div", { class: "stack" }, picture(image, 1), picture(image, 0), el("span", { class: "cut", "aria-hidden": "true" }), el("span", { class: "tag left", "aria-hidden": "true" }, "truth"), el("span", { class: "tag right", "aria-hidden": "true" }, "recon."));
  const input = el("input", { type: "range", min: 0, max: 100, value: 50, step: 1, "aria-label": `Share of the truth shown, cell ${image.cell}, trial ${image.row[1]}, image ${image.row[2]}`, "aria-valuetext": "50 % truth" });
  input.addEventListener("input", () => {
    stack.style.setProperty("--cut", `${input.value}%`);
    input.setAttribute("aria-valuetext", `${input.value} % truth`);
  });
  stack.append(input);
  return stack;
}

/** Scores of an image by column. */
function scores(image, wanted) {
  return D.images.head.map((h, c) => [h, image.row[c]]).filter(([h, v]) => wanted(h) && v !== NONE);
}

/** A slider with its scores; in the view of its own cell without the cell's name. */
function card(image, named = true) {
  const cell = cellOf(image.cell);
  const name = [cell.attack, cell.defended ? cell.defense : null, cell.setting || null].filter(Boolean).join(" · ");
  const few = scores(image, (h) => /^(PSNR \(dB\)|SSIM|LPIPS)/.test(h) && h !== "SSIM, one window");
  const flags = image.row.at(-1);
  return el("figure", { class: "card" }, slider(image), el("figcaption", {},
    named && el("p", {}, opener(image.cell, `#${image.cell}`), ` ${name}`),
    el("p", { class: "ci" }, few.map(([h, v]) => `${h.replace(/ \((dB|squeeze|alex|vgg)\)/, "")} ${v}`).join(" · ") || "no score"),
    el("p", { class: "ci" }, `trial ${image.row[1]}, image ${image.row[2]}, example ${image.row[3]}` + (flags !== NONE ? ` · ${flags}` : ""))));
}

/** The gallery; returns what redraws it for a set of cells. */
function gallery(host) {
  const psnr = (i) => (D.images.psnr === null ? [2, 0] : sortKey(i.row[D.images.psnr]));
  const orders = {
    "as the suite lists them": (a, b) => a.at - b.at,
    "the same image side by side": (a, b) => cellOf(a.cell).world - cellOf(b.cell).world || a.row[1] - b.row[1] || a.row[2] - b.row[2] || a.at - b.at,
    "highest PSNR first": (a, b) => byKey(psnr(a), psnr(b), -1) || a.at - b.at,
    "lowest PSNR first": (a, b) => byKey(psnr(a), psnr(b), 1) || a.at - b.at,
  };
  let kept = null;
  const select = el("select", { id: "order", change: () => redraw(kept) }, Object.keys(orders).map((o) => el("option", {}, o)));
  const all = el("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Share of the truth shown, all pictures" });
  all.addEventListener("input", () => host.querySelectorAll(".stack input").forEach((i) => { i.value = all.value; i.dispatchEvent(new Event("input")); }));
  const count = el("span", { class: "count", role: "status" });
  host.append(el("div", { class: "tools" }, el("label", {}, "Order ", select), el("label", {}, "All sliders ", all), count));
  const grid = el("div", { "data-layout": "cards" });
  host.append(grid);
  const show = gradual(grid, 24, (i) => card(i));
  const redraw = (cells) => {
    kept = cells;
    const list = IMAGES.filter((i) => cells.has(i.cell) && hasPicture(i)).sort(orders[select.value]);
    count.textContent = `${list.length} of ${IMAGES.length} images`;
    show(list);
  };
  return redraw;
}
