// Layer × head maps of several scores at one training step; the curves of the head pointed at over all steps.
function draw(d) {
  const shade = shader(d.scale), scores = d.scores.map(floats), L = d.maps[0].rows.labels.length, H = d.maps[0].columns.labels.length, N = L * H;
  const now = el("p", {class: "now", "aria-live": "polite"}), panels = [], charts = [];
  const start = d.steps ? d.steps.length - 1 : 0;
  let step = start, l = 0, h = 0;
  // begin with the strongest head of the last score
  const last = scores[scores.length - 1].subarray(start * N), k = last.indexOf(Math.max(...last));
  [l, h] = [Math.floor(k / H), k % H];
  const at = (m, s) => scores[m][s * N + l * H + h];
  function tell() {
    panels.forEach((panel) => panel.mark(l, h));
    now.replaceChildren(el("b", {}, `layer ${l}, head ${h}`), `${d.steps ? ` at step ${d.steps[step]}` : ""}: `, d.maps.map((map, m) => `${map.name} ${number(at(m, step))}`).join(" · "));
    charts.forEach((c, m) => {
      c.bold.setAttribute("d", curve(d.steps, d.steps.map((_, s) => at(m, s)), c.x, c.y, "").getAttribute("d"));
      c.cursor(d.steps[step]);
    });
  }
  d.maps.forEach((map) => panels.push(heatMap(map, shade, (r, c) => { [l, h] = [r, c]; tell(); }, d.title)));
  const scrub = d.steps && d.steps.length > 1 ? scrubber(d.steps, `${d.title}: training step`, (k) => {
    step = k;
    panels.forEach((panel, m) => panel.paint(scores[m].subarray(k * N, (k + 1) * N)));
    tell();
  }) : null;
  if (scrub) d.maps.forEach((map, m) => {
    const c = chart({width: 380, height: 220, x: [d.steps[0], d.steps[start]], y: [0, d.scale.high], xName: "step", yName: "score", label: `${map.name} of every head over the training steps`},
      (wanted) => scrub.move(nearest(d.steps, wanted)));
    for (let k = 0; k < N; k++) c.plot.append(curve(d.steps, d.steps.map((_, s) => scores[m][s * N + k]), c.x, c.y, "stroke:var(--soft);opacity:.3"));
    c.bold = el("svg:path", {style: "fill:none;stroke:var(--mark);stroke-width:2.2"});
    c.plot.append(c.bold);
    charts.push(c);
  });
  tell();
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, `${d.note.replace(/; maps.*/, ".")} Point at a head, or tab to a map and use the arrow keys.${scrub ? " The slider moves through training; all heads are thin lines below." : ""}`), now, ...(scrub ? [scrub.node] : []),
    el("div", {class: "row"}, ...panels.map((panel, m) => el("div", {style: "max-width:100%"}, el("p", {}, el("b", {}, d.maps[m].name)), el("div", {class: "wide"}, panel.node), ...(charts[m] ? [charts[m].plot] : [])))),
    colourBar(d.scale, shade));
}
