// A chart for each quantity, a line for each name, on a logarithmic axis; the layer pointed at is read out for all.
function draw(d) {
  const W = 430, H = 300, panels = [];
  const now = el("div", {class: "now", "aria-live": "polite", style: `min-height:${1.45 * d.names.length + 2.4}em`},
    "Point at a chart, or tab to it and use the arrow keys, to read the numbers of a layer.");
  // powers of ten; where there are few, 2 and 5 times them as well, and within a factor of ten round numbers
  function powers(low, high) {
    if (high - low < 0.9) return ticks(10 ** low, 10 ** high, 4).filter(([v]) => v > 0).map(([v]) => [Math.log10(v), number(v)]);
    const out = [], between = high - low < 2.2 ? [1, 2, 5] : [1], every = Math.ceil((high - low) / 7);
    for (let k = Math.floor(low); k <= Math.ceil(high); k++) for (const m of between) {
      const at = k + Math.log10(m);
      if (at >= low - 1e-9 && at <= high + 1e-9 && k % every === 0) out.push([at, Math.abs(k) <= 3 ? String(Number((m * 10 ** k).toPrecision(1))) : minus(`${m}e${k}`)]);
    }
    return out;
  }
  const unitOf = (q) => q.unit ? `, ${q.unit}` : "";
  let layer = 0;
  d.quantities.forEach((q, p) => {
    const rows = q.values.map((text) => floats(text)), logs = rows.map((row) => Array.from(row, (v) => v > 0 ? Math.log10(v) : NaN));
    const finite = logs.flat().filter(Number.isFinite), low = finite.length ? Math.min(...finite) : 0, high = finite.length ? Math.max(...finite) : 1;
    const room = Math.max(0.06 * (high - low), 0.05), bounds = [low - room, high + room];
    const c = chart({width: W, height: H, x: [d.first - 0.2, d.last + 0.2], y: bounds, xName: "layer", yName: clipped(`${q.name}${unitOf(q)}`, 46), label: q.label,
      xTicks: ticks(d.first, Math.max(d.last, d.first + 1), Math.min(d.last - d.first || 1, 8)).filter(([v]) => Number.isInteger(v) && v <= d.last), yTicks: finite.length ? powers(...bounds) : []}, point);
    c.plot.setAttribute("tabindex", 0);
    c.plot.setAttribute("role", "application");
    c.plot.setAttribute("aria-label", `${q.name}: arrow keys move over the layers`);
    logs.forEach((row, k) => {
      const xs = row.map((_, i) => q.starts[k] + i);
      c.plot.append(curve(xs, row, c.x, c.y, `stroke:${d.colours[k]};stroke-width:1.8`));
      row.forEach((v, i) => {
        if (Number.isFinite(v)) c.plot.append(el("svg:path", {d: shapes[k], transform: `translate(${c.x(xs[i])},${c.y(v)}) scale(.75)`, style: `fill:${d.colours[k]};stroke:${d.colours[k]}`}));
      });
    });
    onKeys(c.plot, ["ArrowLeft", "ArrowRight", "Home", "End"], (key) => point({ArrowLeft: layer - 1, ArrowRight: layer + 1, Home: d.first, End: d.last}[key]));
    c.plot.addEventListener("focus", () => point(layer));
    panels.push({q, rows, c, node: el("div", {style: "flex:1 1 300px;max-width:100%"}, el("p", {}, el("b", {}, q.name), unitOf(q)),
      ...(q.dead.length ? [el("p", {class: "soft"}, `0 in all layers: ${q.dead.join(", ")}`)] : []), c.plot)});
  });
  function point(wanted) {
    layer = limit(Math.round(wanted), d.first, d.last);
    panels.forEach(({c}) => c.cursor(layer));
    now.replaceChildren(el("b", {}, `layer ${layer}`), ...d.names.map((name, k) => el("div", {}, `${name}: `, panels.map(({q, rows}) => {
      const v = rows[k][layer - q.starts[k]];
      return `${q.name} ${v === undefined ? "–" : number(v)}${v === undefined || !q.unit ? "" : ` ${q.unit}`}`;
    }).join(" · "))));
  }
  const legend = d.names.length < 2 ? [] : [el("p", {class: "soft"}, ...d.names.flatMap((name, k) => [el("svg:svg", {width: 12, height: 12, viewBox: "-6 -6 12 12", style: "display:inline-block;vertical-align:-.15em"},
    el("svg:path", {d: shapes[k], style: `fill:${d.colours[k]};stroke:${d.colours[k]}`})), ` ${name}  `]))];
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, "Logarithmic axes: what grows or shrinks by the same factor from layer to layer is a straight line."), ...legend, now,
    el("div", {class: "row"}, ...panels.map((panel) => panel.node)));
}
