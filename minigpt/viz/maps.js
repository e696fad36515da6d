// Maps side by side with one scale; the cell pointed at is read out above them.
function draw(d) {
  const now = el("p", {class: "now", "aria-live": "polite"}, "Point at a cell, or tab to a map and use the arrow keys, to read its number.");
  const shade = shader(d.scale), panels = [];
  d.maps.forEach((map, m) => panels.push(heatMap(map, shade, (r, c) => {
    panels.forEach((panel, k) => k === m ? panel.mark(r, c) : panel.mark(null));
    const v = panels[m].values[r * map.columns.labels.length + c];
    now.replaceChildren(...(map.name ? [`${map.name}: `] : []), ...told(map.rows, r), ", ", ...told(map.columns, c), ": ",
      el("b", {}, `${d.scale.diverging && v > 0 ? "+" : ""}${number(v)}`));
  }, d.title)));
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), now,
    el("div", {class: "row"}, ...panels.map((panel, m) => el("div", {style: "max-width:100%"}, el("p", {}, el("b", {}, d.maps[m].name)),
      el("div", {class: "wide", style: "max-height:85vh"}, panel.node)))), colourBar(d.scale, shade));
}
