// Loss against step: raw training losses faint, their moving average strong, validation as points;
// a cursor that moves from record to record and reads out every run.
function draw(d) {
  const numbers = (text, kind) => text === undefined ? [] : Array.from(new kind(bytes(text).buffer));
  const series = (s) => s && {
    steps: numbers(s.steps, Float64Array), losses: numbers(s.losses, Float32Array), smooth: numbers(s.smooth, Float32Array),
  };
  const runs = d.runs.map((run) => ({...run, train: series(run.train), val: series(run.val)}));

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

  const plot = el("svg:svg", {viewBox: `0 0 ${W} ${HEIGHT}`, width: "100%", style: `max-width:${W}px;min-width:680px`, tabindex: 0, role: "application",
    "aria-label": `${d.title}: arrow keys move the cursor`});
  for (const [value, text] of ticks(low, high, 6))
    plot.append(line(left, y(value), W - right, y(value), "stroke:var(--line)"), letters(left - 8, y(value), "end", text));
  for (const [value, text] of ticks(first, first + span, 6))
    plot.append(line(x(value), HEIGHT - bottom, x(value), HEIGHT - bottom + 4, "stroke:var(--soft)"), letters(x(value), HEIGHT - bottom + 14, "middle", text));
  plot.append(line(left, HEIGHT - bottom, W - right, HEIGHT - bottom, "stroke:var(--soft)"),
    letters((left + W - right) / 2, HEIGHT - 7, "middle", d.axis),
    upwards((HEIGHT - bottom) / 2, `loss, ${d.unit}`));
  for (const value of d.references)
    plot.append(line(left, y(value), W - right, y(value), "stroke:var(--soft);stroke-dasharray:6 4"));

  for (const run of runs)
    // validation alone is easier to follow along a thin line
    if (!run.train) plot.append(curve(run.val.steps, run.val.losses, x, y, `stroke:${run.colour};opacity:.6`));
    else {
      if (d.raw) plot.append(curve(run.train.steps, run.train.losses, x, y, `stroke:${run.colour};opacity:.28`));
      plot.append(curve(run.train.steps, run.train.smooth, x, y, `stroke:${run.colour};stroke-width:2;stroke-linecap:round`));
    }
  runs.forEach((run, r) => run.val && run.val.steps.forEach((step, k) => {
    if (!Number.isFinite(run.val.losses[k])) return;
    plot.append(el("svg:path", {d: shapes[r % shapes.length], transform: `translate(${x(step)},${y(run.val.losses[k])})`,
      style: `fill:var(--paper);stroke:${run.colour};stroke-width:1.6`}));
  }));
  for (const [text, end, place, colour] of d.labels)
    plot.append(line(W - right, y(end), W - right + 10, y(place), `stroke:${colour}`), letters(W - right + 14, y(place), "start", text, `fill:${tint(colour)}`));

  // The cursor stands on records only, and the numbers are those records.
  const stops = [...new Set(runs.flatMap((run) => [run.train, run.val].filter(Boolean).flatMap((s) => s.steps)))].sort((a, b) => a - b);
  const now = el("div", {class: "now", "aria-live": "polite", style: `min-height:${1.45 * runs.length + 2.4}em`}, "Point at the curves, or tab to them and use the arrow keys, to read the values.");
  const rule = line(0, top, 0, HEIGHT - bottom, "stroke:var(--mark);pointer-events:none");
  rule.style.visibility = "hidden";
  plot.append(rule);
  const shown = (value) => Number.isFinite(value) ? value.toFixed(3) : "not finite";
  let at = stops.length - 1;

  function move(stop) {
    at = Math.max(0, Math.min(stops.length - 1, stop));
    const step = stops[at];
    rule.style.visibility = "visible";
    rule.setAttribute("transform", `translate(${x(step)},0)`);
    now.replaceChildren(el("b", {}, `${d.axis} ${step}`));
    for (const run of runs) {
      const parts = [];
      for (const split of ["train", "val"]) {
        const s = run[split];
        if (!s) continue;
        const k = nearest(s.steps, step), elsewhere = s.steps[k] === step ? "" : ` at ${d.axis} ${s.steps[k]}`;
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
