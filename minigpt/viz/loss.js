// Loss against step: raw training losses faint, their moving average strong, validation as points;
// a cursor that moves from record to record and reads out every run.
function draw(d) {
  const numbers = (text, kind) => text === undefined ? [] : Array.from(new kind(bytes(text).buffer));
  const series = (s) => s && {
    steps: numbers(s.steps, Float64Array), losses: numbers(s.losses, Float32Array), smooth: numbers(s.smooth, Float32Array),
  };
  const runs = d.runs.map((run) => ({...run, train: series(run.train), val: series(run.val)}));
  const tint = (colour) => `color-mix(in srgb, ${colour} 70%, var(--ink))`;

  // Layout in units of the drawing, which scales as a whole.
  const W = 920, HEIGHT = 400, left = 58, top = 8, bottom = 40;
  const pen = el("canvas").getContext("2d");
  pen.font = "12.5px sans-serif";
  const right = Math.min(420, 26 + 1.08 * Math.max(...d.labels.map((label) => pen.measureText(label[0]).width)));
  const ends = runs.flatMap((run) => [run.train, run.val].filter(Boolean).flatMap((s) => [s.steps[0], s.steps[s.steps.length - 1]]));
  const first = Math.min(...ends), last = Math.max(...ends), span = last - first || 1;
  const [low, high] = d.limits;
  const x = (step) => left + 6 + (W - left - right - 12) * (step - first) / span;
  const y = (loss) => top + (HEIGHT - top - bottom) * (high - Math.max(low, Math.min(high, loss))) / (high - low);

  // About n round numbers between a and b: steps of 1, 2 or 5 times a power of ten.
  function ticks(a, b, n) {
    const rough = (b - a) / n, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), out = [];
    for (let k = Math.ceil(a / step - 1e-9); k * step <= b + 1e-9 * step; k++) out.push([k * step, (k * step).toFixed(digits)]);
    return out;
  }
  const label = (tx, ty, anchor, text, style = "") =>
    el("svg:text", {x: tx, y: ty, "text-anchor": anchor, "dominant-baseline": "central", style: `font-size:12.5px;${style}`}, text);
  const line = (x1, y1, x2, y2, style) => el("svg:path", {d: `M${x1} ${y1}L${x2} ${y2}`, style: `fill:none;${style}`});

  const plot = el("svg:svg", {viewBox: `0 0 ${W} ${HEIGHT}`, width: "100%", style: `max-width:${W}px;min-width:680px`, tabindex: 0, role: "application",
    "aria-label": `${d.title}: arrow keys move the cursor over the steps`});
  for (const [value, text] of ticks(low, high, 6))
    plot.append(line(left, y(value), W - right, y(value), "stroke:var(--line)"), label(left - 8, y(value), "end", text));
  for (const [value, text] of ticks(first, first + span, 6))
    plot.append(line(x(value), HEIGHT - bottom, x(value), HEIGHT - bottom + 4, "stroke:var(--soft)"), label(x(value), HEIGHT - bottom + 14, "middle", text));
  plot.append(line(left, HEIGHT - bottom, W - right, HEIGHT - bottom, "stroke:var(--soft)"),
    label((left + W - right) / 2, HEIGHT - 7, "middle", "step"),
    el("svg:text", {transform: `translate(13,${(HEIGHT - bottom) / 2}) rotate(-90)`, "text-anchor": "middle", style: "font-size:12.5px"}, `loss, ${d.unit}`));
  for (const value of d.references)
    plot.append(line(left, y(value), W - right, y(value), "stroke:var(--soft);stroke-dasharray:6 4"));

  // A path over all finite values; it starts anew after a gap.
  function path(steps, values, style) {
    let text = "", open = false;
    steps.forEach((step, k) => {
      const finite = Number.isFinite(values[k]);
      if (finite) text += `${open ? "L" : "M"}${x(step).toFixed(1)} ${y(values[k]).toFixed(1)}`;
      open = finite;
    });
    return el("svg:path", {d: text, style: `fill:none;stroke-linejoin:round;${style}`});
  }
  // circle, square, triangle, diamond: runs differ by more than colour
  const shapes = ["M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", "M-3.6 -3.6H3.6V3.6H-3.6Z", "M0 -4.6L4.4 3.6H-4.4Z", "M0 -5L5 0L0 5L-5 0Z"];
  for (const run of runs)
    // validation alone is easier to follow along a thin line
    if (!run.train) plot.append(path(run.val.steps, run.val.losses, `stroke:${run.colour};opacity:.6`));
    else {
      if (d.raw) plot.append(path(run.train.steps, run.train.losses, `stroke:${run.colour};opacity:.28`));
      plot.append(path(run.train.steps, run.train.smooth, `stroke:${run.colour};stroke-width:2;stroke-linecap:round`));
    }
  runs.forEach((run, r) => run.val && run.val.steps.forEach((step, k) => {
    if (!Number.isFinite(run.val.losses[k])) return;
    plot.append(el("svg:path", {d: shapes[r % 4], transform: `translate(${x(step)},${y(run.val.losses[k])})`,
      style: `fill:var(--paper);stroke:${run.colour};stroke-width:1.6`}));
  }));
  for (const [text, end, place, colour] of d.labels)
    plot.append(line(W - right, y(end), W - right + 10, y(place), `stroke:${colour}`), label(W - right + 14, y(place), "start", text, `fill:${tint(colour)}`));

  // The cursor stands on records only, and the numbers are those records.
  const stops = [...new Set(runs.flatMap((run) => [run.train, run.val].filter(Boolean).flatMap((s) => s.steps)))].sort((a, b) => a - b);
  const now = el("div", {class: "now", "aria-live": "polite", style: `min-height:${1.45 * runs.length + 2.4}em`}, "Point at the curves, or tab to them and use the arrow keys, to read the values.");
  const rule = line(0, top, 0, HEIGHT - bottom, "stroke:var(--mark);pointer-events:none");
  rule.style.visibility = "hidden";
  plot.append(rule);
  const nearest = (steps, step) => steps.reduce((best, s, k) => Math.abs(s - step) < Math.abs(steps[best] - step) ? k : best, 0);
  const shown = (value) => Number.isFinite(value) ? value.toFixed(3) : "not finite";
  let at = stops.length - 1;

  function move(stop) {
    at = Math.max(0, Math.min(stops.length - 1, stop));
    const step = stops[at];
    rule.style.visibility = "visible";
    rule.setAttribute("transform", `translate(${x(step)},0)`);
    now.replaceChildren(el("b", {}, `step ${step}`));
    for (const run of runs) {
      const parts = [];
      for (const split of ["train", "val"]) {
        const s = run[split];
        if (!s) continue;
        const k = nearest(s.steps, step), elsewhere = s.steps[k] === step ? "" : ` at step ${s.steps[k]}`;
        const average = split === "train" && d.raw ? ` (average ${shown(s.smooth[k])})` : "";
        parts.push(`${split} ${shown(s.losses[k])}${average}${elsewhere}`);
      }
      now.append(el("div", {}, el("b", {style: `color:${tint(run.colour)}`}, run.name), `: ${parts.join(", ")}`));
    }
  }
  const follow = (event) => {
    const box = plot.getBoundingClientRect();
    const drawn = (event.clientX - box.left) * W / box.width;
    move(nearest(stops, first + span * (drawn - left - 6) / (W - left - right - 12)));
  };
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  plot.addEventListener("focus", () => move(at));
  onKeys(plot, ["ArrowLeft", "ArrowRight", "Home", "End"], (key) =>
    move({ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: stops.length - 1}[key]));

  const legend = [];
  if (runs.some((run) => run.train)) legend.push(`line: ${d.smoothing}`);
  if (runs.some((run) => run.val)) legend.push("marks: validation");
  if (d.references.length) legend.push("dashed: reference");
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, legend.join(" · ")), now, el("div", {class: "wide"}, plot));
}
