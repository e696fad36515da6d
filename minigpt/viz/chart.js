// Parts of charts with curves: ticks, letters, lines, and a whole chart with a cursor.

// About n round numbers between a and b: steps of 1, 2 or 5 times a power of ten.
function ticks(a, b, n) {
  const rough = (b - a) / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), out = [];
  for (let k = Math.ceil(a / step - 1e-9); k * step <= b + 1e-9 * step; k++) out.push([k * step, minus((k * step).toFixed(digits))]);
  return out;
}
const letters = (x, y, anchor, text, style = "") =>
  el("svg:text", {x, y, "text-anchor": anchor, "dominant-baseline": "central", style: `font-size:12.5px;${style}`}, text);
const upwards = (y, text) => el("svg:text", {transform: `translate(13,${y}) rotate(-90)`, "text-anchor": "middle", style: "font-size:12.5px"}, text);
const line = (x1, y1, x2, y2, style) => el("svg:path", {d: `M${x1} ${y1}L${x2} ${y2}`, style: `fill:none;${style}`});
// circle, square, triangle, diamond, triangle on its head, cross: runs differ by more than colour
const shapes = ["M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", "M-3.6 -3.6H3.6V3.6H-3.6Z", "M0 -4.6L4.4 3.6H-4.4Z", "M0 -5L5 0L0 5L-5 0Z",
  "M-4.4 -3.6H4.4L0 4.6Z", "M-4.5 0H4.5M0 -4.5V4.5"];
const tint = (colour) => `color-mix(in srgb, ${colour} 70%, var(--ink))`;

// A path over all finite values; it starts anew after a gap.
function curve(xs, values, x, y, style) {
  let text = "", open = false;
  xs.forEach((at, k) => {
    const finite = Number.isFinite(values[k]);
    if (finite) text += `${open ? "L" : "M"}${x(at).toFixed(1)} ${y(values[k]).toFixed(1)}`;
    open = finite;
  });
  return el("svg:path", {d: text, style: `fill:none;stroke-linejoin:round;${style}`});
}

// A chart with axes. o: {width, height, x: [low, high], y: [low, high], xName, yName, label, and maybe xTicks, yTicks, lists
// of [value, text] in place of round numbers}; point(value on the x axis)
// is called when the pointer is over it. Returns {plot, x, y, cursor(value)}; curves are appended to `plot`.
function chart(o, point) {
  const left = 62, top = 10, bottom = 40, right = 14, [first, last] = o.x, [low, high] = o.y;
  const x = (v) => left + (o.width - left - right) * (v - first) / (last - first || 1);
  const y = (v) => top + (o.height - top - bottom) * (high - v) / (high - low || 1);
  const plot = el("svg:svg", {viewBox: `0 0 ${o.width} ${o.height}`, width: "100%", style: `max-width:${o.width}px;min-width:${Math.min(o.width, 300)}px`, role: "img", "aria-label": o.label});
  for (const [value, text] of o.yTicks || ticks(low, high || 1, 5))
    plot.append(line(left, y(value), o.width - right, y(value), "stroke:var(--line)"), letters(left - 8, y(value), "end", text));
  for (const [value, text] of o.xTicks || ticks(first, last > first ? last : first + 1, Math.max(2, o.width / 110)))
    plot.append(line(x(value), o.height - bottom, x(value), o.height - bottom + 4, "stroke:var(--soft)"), letters(x(value), o.height - bottom + 14, "middle", text));
  plot.append(line(left, o.height - bottom, o.width - right, o.height - bottom, "stroke:var(--soft)"),
    letters((left + o.width - right) / 2, o.height - 7, "middle", o.xName), upwards((o.height - bottom) / 2, o.yName));
  const rule = line(0, top, 0, o.height - bottom, "stroke:var(--mark);pointer-events:none");
  const follow = (event) => {
    const box = plot.getBoundingClientRect();
    point(first + (last - first) * ((event.clientX - box.left) * o.width / box.width - left) / (o.width - left - right));
  };
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  return {plot, x, y, cursor(value) { rule.setAttribute("transform", `translate(${x(value)},0)`); plot.append(rule); }};
}
const nearest = (values, wanted) => values.reduce((best, v, k) => Math.abs(v - wanted) < Math.abs(values[best] - wanted) ? k : best, 0);

// A slider over training steps: {node, input}. Arrow keys work on it by themselves.
function scrubber(steps, name, show) {
  const input = el("input", {type: "range", min: 0, max: steps.length - 1, step: 1, value: steps.length - 1, "aria-label": name, style: "width:min(420px,90%);accent-color:var(--mark)"});
  const tell = () => { input.setAttribute("aria-valuetext", `step ${steps[input.value]}`); show(Number(input.value)); };
  input.addEventListener("input", tell);
  return {node: el("p", {}, input), move(k) { input.value = k; tell(); }, tell, at: () => Number(input.value)};
}
