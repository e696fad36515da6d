// Who touches what: arrays below each other, phases side by side. Pointing at an element names its threads;
// the arrow keys walk through the moments of a warp (left, right) and through the warps (up, down).
function draw(d) {
  const WARP = 32, colours = bytes(d.colours), many = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
  const warps = Math.ceil(d.threads / WARP), widest = Math.max(...d.grids.map((grid) => grid[2]));
  const side = Math.max(6, Math.min(26, Math.floor((d.phases.length === 1 ? 620 : 250) / widest)));
  const colour = (thread) => `rgb(${colours[3 * thread]}, ${colours[3 * thread + 1]}, ${colours[3 * thread + 2]})`;
  const dark = (thread) => 0.3 * colours[3 * thread] + 0.59 * colours[3 * thread + 1] + 0.11 * colours[3 * thread + 2] < 140;

  // accesses: element, thread, request, 1 for a store
  const panels = d.panels.map((p) => {
    const flat = new Int32Array(bytes(p.accesses).buffer), cells = new Map(), accesses = [];
    for (let k = 0; k < flat.length; k += 4) {
      const [element, thread, request, store] = flat.subarray(k, k + 4);
      accesses.push({element, thread, request, store});
      if (!cells.has(element)) cells.set(element, []);
      cells.get(element).push(accesses[accesses.length - 1]);
    }
    return {...p, cells, accesses, requests: Math.max(...accesses.map((a) => a.request)) + 1};
  });
  const threadsOf = (accesses) => [...new Set(accesses.map((a) => a.thread))].sort((a, b) => a - b);

  // A moment is a phase and the number of a request in it.
  const moments = d.phases.flatMap((_, phase) => {
    const n = Math.max(0, ...panels.filter((p) => p.phase === phase).map((p) => p.requests));
    return Array.from({length: n}, (_, request) => ({phase, request, n}));
  });
  let at = 0, warp = 0;

  // Outlined is what the warp asks for at this moment; in the phases that are not shown now nothing is.
  function paint(p) {
    const [, rows, columns] = d.grids[p.array], pen = p.canvas.getContext("2d"), now = moments[at];
    pen.clearRect(0, 0, p.canvas.width, p.canvas.height);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillStyle = "rgba(128, 128, 140, 0.13)";
    for (let k = 0; k < rows * columns; k++)
      if (!p.cells.has(k)) pen.fillRect(k % columns * side, Math.floor(k / columns) * side, side - 1, side - 1);
    for (const [element, accesses] of p.cells) {
      const x = element % columns * side, y = Math.floor(element / columns) * side, all = threadsOf(accesses);
      const stripes = Math.min(all.length, 4), text = all.length === 1 ? `${all[0]}` : `${all.length}×`;
      for (let s = 0; s < stripes; s++) {
        pen.fillStyle = colour(all[stripes === 1 ? 0 : Math.round(s * (all.length - 1) / (stripes - 1))]);
        pen.fillRect(x + s * (side - 1) / stripes, y, (side - 1) / stripes, side - 1);
      }
      pen.font = `${all.length === 1 ? "" : "bold "}${Math.min(0.45 * side, 1.4 * side / text.length)}px sans-serif`;
      pen.fillStyle = dark(all[Math.floor(all.length / 2)]) ? "white" : "#222222";
      if (side >= 16) pen.fillText(text, x + side / 2 - 0.5, y + side / 2);
    }
    pen.lineWidth = side > 12 ? 2 : 1.5;
    pen.strokeStyle = "#e00070";
    if (p.phase === now.phase)
      for (const a of p.accesses)
        if (a.request === now.request && Math.floor(a.thread / WARP) === warp)
          pen.strokeRect(a.element % columns * side, Math.floor(a.element / columns) * side, side - 1, side - 1);
  }

  const read = el("div", {class: "now", "aria-live": "polite"});
  function move(moment, w) {
    at = Math.max(0, Math.min(moments.length - 1, moment));
    warp = Math.max(0, Math.min(warps - 1, w));
    panels.forEach(paint);
    const {phase, request, n} = moments[at];
    read.replaceChildren(el("b", {}, `${d.phases[phase]}: `), `request ${request + 1} of ${n} is outlined, as warp ${warp} makes it`);
  }
  function name(p, element) {
    const [label, , columns] = d.grids[p.array], accesses = p.cells.get(element) || [];
    const parts = [0, 1].flatMap((store) => {
      const found = accesses.filter((a) => a.store === store), all = threadsOf(found);
      if (!found.length) return [];
      const listed = `${all.length === 1 ? "thread" : "threads"} ${all.slice(0, 8).join(", ")}${all.length > 8 ? ", …" : ""}`;
      const first = Math.min(...found.map((a) => a.request)) + 1;
      return [`${many(found.length, store ? "store" : "load")} by ${listed}${all.length > 8 ? ` (${all.length})` : ""}, first in request ${first}`];
    });
    const place = `${label.replace(/ \(.*/, "")} [${Math.floor(element / columns)}, ${element % columns}]`;
    read.replaceChildren(el("b", {}, place), `, ${d.phases[p.phase]}: ${parts.join("; ") || "not touched"}`);
  }

  const table = el("div", {tabindex: 0, role: "application",
    "aria-label": `${d.title}: left and right move from request to request, up and down from warp to warp`,
    style: `display:grid;grid-template-columns:repeat(${d.phases.length}, max-content);gap:10px 22px;width:max-content;padding:3px`});
  for (const phase of d.phases) table.append(el("b", {}, phase));
  d.grids.forEach(([label, rows, columns], array) => d.phases.forEach((_, phase) => {
    const p = panels.find((panel) => panel.array === array && panel.phase === phase);
    const cell = el("div", {style: p ? "" : "opacity:.35"}, el("div", {class: "soft"}, label));
    const canvas = el("canvas", {width: columns * side, height: rows * side, style: `background:none;${p ? "" : "outline:1px dashed var(--soft)"}`});
    cell.append(canvas);
    table.append(cell);
    if (!p) return;
    p.canvas = canvas;
    for (const line of p.caption) cell.append(el("div", {class: "soft", style: "max-width:30em"}, line));
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      const column = Math.floor((event.clientX - box.left) / box.width * columns), row = Math.floor((event.clientY - box.top) / box.height * rows);
      if (column >= 0 && column < columns && row >= 0 && row < rows) name(p, row * columns + column);
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
  }));
  onKeys(table, ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"], (key) => ({
    ArrowLeft: () => move(at - 1, warp), ArrowRight: () => move(at + 1, warp), ArrowUp: () => move(at, warp - 1),
    ArrowDown: () => move(at, warp + 1), Home: () => move(0, warp), End: () => move(moments.length - 1, warp),
  })[key]());
  const button = (text, label, action) => {
    const b = el("button", {type: "button", "aria-label": label}, text);
    b.addEventListener("click", action);
    return b;
  };
  const buttons = el("p", {}, button("◀", "previous request", () => move(at - 1, warp)), " ", button("▶", "next request", () => move(at + 1, warp)), " request");
  if (warps > 1)
    buttons.append(" · ", button("▲", "previous warp", () => move(at, warp - 1)), " ", button("▼", "next warp", () => move(at, warp + 1)), " warp");
  move(0, 0);
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.notes.join(" ")), buttons, read, el("div", {class: "wide"}, table));
}
