// The map of one head at one checkpoint; a slider over the checkpoints, and the loss with a cursor.
function draw(d) {
  const map = {...d.maps[0], written: false}, T = map.rows.labels.length, frames = unpacked(d.frames.values, d.frames.triangle, T, T), S = d.steps.length, shade = shader(d.scale);
  const now = el("p", {class: "now", "aria-live": "polite"}), losses = d.loss && {steps: floats(d.loss.steps), losses: floats(d.loss.losses)};
  let step = S - 1, q = T - 1, key = 0, plot = null;
  const panel = heatMap(map, shade, (r, c) => { [q, key] = [r, c]; tell(); }, d.title);
  function tell() {
    panel.mark(q, key);
    const about = [el("b", {}, `step ${d.steps[step]}`)];
    if (losses) {
      const k = nearest(losses.steps, d.steps[step]);
      about.push(`, loss ${Number.isFinite(losses.losses[k]) ? losses.losses[k].toFixed(3) : "not finite"}${losses.steps[k] === Math.fround(d.steps[step]) ? "" : ` at step ${losses.steps[k]}`}`);
      plot.cursor(d.steps[step]);
    }
    now.replaceChildren(...about, `: query ${q} `, el("b", {}, map.rows.labels[q]), ` → key ${key} `, el("b", {}, map.columns.labels[key]), ": ", el("b", {}, number(panel.values[q * T + key])));
  }
  const scrub = scrubber(d.steps, `${d.title}: checkpoint`, (k) => { step = k; panel.paint(frames.subarray(k * T * T, (k + 1) * T * T)); tell(); });
  if (losses) {
    const finite = Array.from(losses.losses).filter(Number.isFinite), low = Math.min(...finite), high = Math.max(...finite), room = 0.05 * (high - low) || 0.5;
    const first = Math.min(losses.steps[0], d.steps[0]), last = Math.max(losses.steps[losses.steps.length - 1], d.steps[S - 1]);
    plot = chart({width: 460, height: 300, x: [first, last], y: [low - room, high + room], xName: "step", yName: `loss, ${d.unit}`, label: `loss from ${number(finite[0])} to ${number(finite[finite.length - 1])} ${d.unit}`},
      (wanted) => scrub.move(nearest(d.steps, wanted)));
    plot.plot.append(curve(Array.from(losses.steps), losses.losses, plot.x, plot.y, "stroke:#0072B2;stroke-width:1.6"));
    for (const s of d.steps) plot.plot.append(line(plot.x(s), 256, plot.x(s), 260, "stroke:var(--mark)"));
  }
  scrub.tell();
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, `${d.note} The slider moves through them${losses ? ", and so does pointing at the loss" : ""}.`), now, scrub.node,
    el("div", {class: "row"}, el("div", {class: "wide", style: "max-height:85vh"}, panel.node), ...(plot ? [plot.plot] : [])), colourBar(d.scale, shade));
}
