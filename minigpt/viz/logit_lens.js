// A table of layers × positions: the likeliest token on the colour of its probability; the top k of the cell pointed at.
function draw(d) {
  const L = d.rows.labels.length, T = d.tokens.length, p = floats(d.probabilities), order = new Uint32Array(bytes(d.order).buffer), K = p.length / (L * T);
  const shade = shader(d.scale), now = el("p", {class: "now", "aria-live": "polite"}), list = el("div", {class: "text", style: "min-height:2em"});
  const shown = (x) => x === 0 ? "0" : x < 0.0005 ? "<.001" : x.toFixed(3);
  const name = (l, t, k) => d.names[order[(l * T + t) * K + k]], at = (l, t, k) => p[(l * T + t) * K + k];
  const paint = (node, x) => { const c = shade(x); node.style.background = `rgb(${c.slice(0, 3)})`; node.style.color = inkOn(c); };
  let l = L - 1, t = T - 1;

  const cells = [], body = el("tbody", {});
  d.rows.labels.forEach((label, layer) => {
    const row = el("tr", {}, el("th", {scope: "row", class: "side", style: "white-space:nowrap;background:var(--paper)"}, label));
    cells.push([]);
    for (let k = 0; k < T; k++) {
      const cell = el("td", {style: "min-width:0;max-width:84px;padding:1px 5px;white-space:nowrap;overflow:hidden;text-overflow:clip;line-height:1.25"},
        clipped(name(layer, k, 0), 9), el("div", {style: "font-size:10px"}, shown(at(layer, k, 0))));
      paint(cell, at(layer, k, 0));
      if (d.hits[layer].includes(k)) cell.style.boxShadow = "inset 0 0 0 2px var(--mark)";
      cell.dataset.at = `${layer},${k}`;
      cells[layer].push(cell);
      row.append(cell);
    }
    body.append(row);
  });
  const heads = d.tokens.map((token, k) => el("th", {scope: "col", title: `position ${k}: ${token}`, style: "padding:2px 4px;font-size:12px;white-space:nowrap;max-width:84px;overflow:hidden"}, clipped(token, 9)));
  const table = el("table", {class: "stages", tabindex: 0, role: "application", "aria-label": `${d.title}: arrow keys move over layers and positions`},
    el("thead", {class: "up"}, el("tr", {}, el("th", {class: "side", style: "white-space:nowrap;background:var(--paper)"}, d.rows.name ? `${d.rows.name} ↓ position →` : ""), ...heads)), body);
  let marked = null;
  function point(layer, position) {
    [l, t] = [limit(layer, 0, L - 1), limit(position, 0, T - 1)];
    if (marked) marked.style.outline = "";
    marked = cells[l][t];
    marked.style.outline = "2px solid var(--ink)";
    marked.style.outlineOffset = "-2px";
    heads.forEach((head, k) => head.classList.toggle("on", k === t));
    now.replaceChildren(...told(d.rows, l), `, position ${t} `, el("b", {}, d.tokens[t]), ": next ", el("b", {}, name(l, t, 0)), ` with ${shown(at(l, t, 0))}`);
    list.replaceChildren(...Array.from({length: K}, (_, k) => {
      const chip = el("span", {}, el("b", {}, name(l, t, k)), ` ${shown(at(l, t, k))}`);
      paint(chip, at(l, t, k));
      return chip;
    }));
  }
  for (const kind of ["pointerover", "pointerdown", "pointermove"]) body.addEventListener(kind, (event) => {
    const cell = event.target.closest("td");
    if (cell && cell !== marked) point(...cell.dataset.at.split(",").map(Number));
  });
  table.addEventListener("focus", () => point(l, t));
  onKeys(table, ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"], (key) => {
    const [down, right] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -T], End: [0, T]}[key];
    point(l + down, t + right);
    marked.scrollIntoView({block: "nearest", inline: "nearest"});
  });
  point(l, t);
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), now,
    list, el("div", {class: "wide", style: "max-height:80vh"}, table), colourBar(d.scale, shade));
}
