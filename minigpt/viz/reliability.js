// Share of right predictions against confidence, with the numbers of predictions below;
// a cursor that moves from bin to bin and reads out every model.
function draw(d) {
  const W = 560, left = 62, top = 10, side = 440, gap = 26, bars = 90, bottom = 44, HEIGHT = top + side + gap + bars + bottom;
  const x = (p) => left + side * p, y = (p) => top + side * (1 - p), floor = top + side + gap + bars;
  const most = Math.max(...d.models.flatMap((m) => m.count));

  const plot = el("svg:svg", {viewBox: `0 0 ${W} ${HEIGHT}`, width: "100%", style: `max-width:${W}px;min-width:420px`, tabindex: 0, role: "application",
    "aria-label": `${d.title}: arrow keys move the cursor over the bins`});
  for (let k = 0; k <= 5; k++) {
    const p = k / 5;
    plot.append(line(left, y(p), left + side, y(p), "stroke:var(--line)"), letters(left - 8, y(p), "end", p.toFixed(1)),
      line(x(p), top, x(p), top + side, "stroke:var(--line)"), line(x(p), floor, x(p), floor + 4, "stroke:var(--soft)"), letters(x(p), floor + 14, "middle", p.toFixed(1)));
  }
  plot.append(line(left, floor, left + side, floor, "stroke:var(--soft)"), letters(left - 8, floor - bars, "end", most.toLocaleString("en")), letters(left - 8, floor, "end", "0"),
    upwards(top + side / 2, "share of right predictions"), upwards(floor - bars / 2, "predictions"),
    letters(left + side / 2, HEIGHT - 8, "middle", "confidence: probability of the likeliest token"),
    line(x(0), y(0), x(1), y(1), "stroke:var(--soft);stroke-dasharray:6 4"));

  d.models.forEach((m, k) => {
    m.confidence.forEach((c, b) => plot.append(
      line(x(c), y(m.low[b]), x(c), y(m.high[b]), `stroke:${m.colour};opacity:.6`),
      line(x(c) + 3 * k, floor, x(c) + 3 * k, floor - bars * m.count[b] / most, `stroke:${m.colour};stroke-width:${k ? 2 : 5};opacity:.75`)));
    plot.append(el("svg:path", {d: m.confidence.map((c, b) => `${b ? "L" : "M"}${x(c).toFixed(1)} ${y(m.accuracy[b]).toFixed(1)}`).join(""),
      style: `fill:none;stroke:${m.colour};stroke-width:1.6`}));
    m.confidence.forEach((c, b) => plot.append(el("svg:path", {d: shapes[k % 4], transform: `translate(${x(c)},${y(m.accuracy[b])})`,
      style: `fill:var(--paper);stroke:${m.colour};stroke-width:1.6`})));
  });

  const stops = d.models.flatMap((m, k) => m.confidence.map((c, b) => [c, k, b])).sort((a, b) => a[0] - b[0]);
  const now = el("div", {class: "now", "aria-live": "polite"}, "Point at the diagram, or tab to it and use the arrow keys, to read the bins.");
  const rule = line(0, top, 0, floor, "stroke:var(--mark);pointer-events:none");
  rule.style.visibility = "hidden";
  plot.append(rule);
  let at = stops.length - 1;

  function move(stop) {
    at = Math.max(0, Math.min(stops.length - 1, stop));
    const [c, k, b] = stops[at], m = d.models[k];
    rule.style.visibility = "visible";
    rule.setAttribute("transform", `translate(${x(c)},0)`);
    const between = `${m.low[b].toFixed(3)} to ${m.high[b].toFixed(3)}`;
    now.replaceChildren(el("b", {style: `color:${tint(m.colour)}`}, m.name),
      `: ${m.count[b].toLocaleString("en")} predictions, sure of ${c.toFixed(3)}, right in ${m.accuracy[b].toFixed(3)} (${between})`);
  }
  const follow = (event) => {
    const box = plot.getBoundingClientRect(), p = ((event.clientX - box.left) * W / box.width - left) / side;
    move(stops.reduce((best, stop, s) => Math.abs(stop[0] - p) < Math.abs(stops[best][0] - p) ? s : best, 0));
  };
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  plot.addEventListener("focus", () => move(at));
  onKeys(plot, ["ArrowLeft", "ArrowRight", "Home", "End"], (key) =>
    move({ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: stops.length - 1}[key]));

  const legend = d.models.map((m) => el("p", {style: `color:${tint(m.colour)};font-size:12px`}, m.label));
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), ...legend, now, el("div", {class: "wide"}, plot));
}
