// Points on two components; the one pointed at, or chosen with the keys in the order of the labels, is named.
function draw(d) {
  const N = d.labels.length, p = floats(d.points), W = 660, H = 520, colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
  const range = (k) => { let low = Infinity, high = -Infinity; for (let n = k; n < 2 * N; n += 2) { low = Math.min(low, p[n]); high = Math.max(high, p[n]); } const room = 0.08 * (high - low) || 1; return [low - room, high + room]; };
  const c = chart({width: W, height: H, x: range(0), y: range(1), xName: d.axes[0], yName: d.axes[1], label: d.title}, () => {});
  c.plot.setAttribute("tabindex", 0);
  c.plot.setAttribute("role", "application");
  c.plot.setAttribute("aria-label", `${d.title}: arrow keys move from point to point`);
  const now = el("p", {class: "now", "aria-live": "polite"}, "Point at the points, or tab to them and use the arrow keys.");
  const x = (n) => c.x(p[2 * n]), y = (n) => c.y(p[2 * n + 1]);
  const marks = d.labels.map((label, n) => {
    const mark = el("svg:path", {d: shapes[d.groups[n]], transform: `translate(${x(n)},${y(n)}) scale(.8)`, style: `fill:${colours[d.groups[n]]};stroke:${colours[d.groups[n]]}`}, el("svg:title", {}, label));
    c.plot.append(mark);
    return mark;
  });
  // labels from the outside in, as long as none covers another
  const taken = [], far = d.labels.map((_, n) => n).sort((a, b) => p[2 * b] ** 2 + p[2 * b + 1] ** 2 - p[2 * a] ** 2 - p[2 * a + 1] ** 2);
  for (const n of far) {
    const text = clipped(d.labels[n]), box = [x(n), y(n) - 6, x(n) + textWidth(text, 11) + 10, y(n) + 6];
    if (box[2] > W || taken.some((t) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3])) continue;
    taken.push(box);
    c.plot.append(letters(x(n) + 7, y(n), "start", text, "font-size:11px;pointer-events:none"));
  }
  const ring = el("svg:circle", {r: 8, style: "fill:none;stroke:var(--mark);stroke-width:2;pointer-events:none;visibility:hidden"});
  const name = el("svg:text", {"text-anchor": "middle", style: "font-size:13px;font-weight:700;fill:var(--mark);paint-order:stroke;stroke:var(--paper);stroke-width:4px;pointer-events:none"});
  c.plot.append(ring, name);
  let at = 0;
  function point(n) {
    at = limit(n, 0, N - 1);
    ring.style.visibility = "visible";
    ring.setAttribute("cx", x(at));
    ring.setAttribute("cy", y(at));
    name.setAttribute("x", x(at));
    name.setAttribute("y", y(at) - 12);
    name.textContent = clipped(d.labels[at]);
    const group = d.names[d.groups[at]];
    now.replaceChildren(`point ${at} `, el("b", {}, d.labels[at]), group ? ` (${group})` : "", `: ${number(p[2 * at])}, ${number(p[2 * at + 1])}`);
  }
  const follow = (event) => {
    const box = c.plot.getBoundingClientRect(), px = (event.clientX - box.left) * W / box.width, py = (event.clientY - box.top) * H / box.height;
    let best = 0, least = Infinity;
    for (let n = 0; n < N; n++) { const distance = (x(n) - px) ** 2 + (y(n) - py) ** 2; if (distance < least) { least = distance; best = n; } }
    point(best);
  };
  c.plot.addEventListener("pointermove", follow);
  c.plot.addEventListener("pointerdown", follow);
  c.plot.addEventListener("focus", () => point(at));
  onKeys(c.plot, ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"], (key) => point({ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: N - 1}[key]));
  const legend = d.names.length > 1 ? [el("p", {class: "soft"}, ...d.names.flatMap((group, k) => [el("svg:svg", {width: 12, height: 12, viewBox: "-6 -6 12 12", style: "display:inline-block;vertical-align:-.15em"}, el("svg:path", {d: shapes[k], style: `fill:${colours[k]};stroke:${colours[k]}`})), ` ${group}  `]))] : [];
  const bars = el("svg:svg", {width: 220, height: 150, role: "img", "aria-label": `share of the variance by component: ${d.explained.map((share) => `${(100 * share).toFixed(1)} %`).join(", ")}`}, letters(0, 8, "start", "variance by component, %", "font-size:12px"));
  d.explained.forEach((share, k) => {
    const tall = 90 * share / d.explained[0];
    bars.append(el("svg:rect", {x: 2 + 21 * k, y: 130 - tall, width: 17, height: tall, style: `fill:${k < 2 ? "#0072B2" : "var(--soft)"}`}, el("svg:title", {}, `component ${k + 1}: ${(100 * share).toFixed(1)} %`)),
      letters(10 + 21 * k, 122 - tall, "middle", (100 * share).toFixed(share < 0.0995 ? 1 : 0), "font-size:9.5px"), letters(10 + 21 * k, 141, "middle", String(k + 1), "font-size:10px"));
  });
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), ...legend, now, el("div", {class: "row"}, el("div", {class: "wide", style: `flex:1 1 ${W}px`}, c.plot), bars));
}
