// Boxes in layers and arrows between them; the box pointed at lights up with all it was made of and all it went into.
function draw(d) {
  const edge = 12, [width, height] = d.size, tones = {op: "#8b8b98", leaf: "#E69F00", parameter: "#0072B2", group: "#009E73", output: "#D55E00"};
  const plot = el("svg:svg", {width: width + 2 * edge, height: height + 2 * edge, viewBox: `${-edge} ${-edge} ${width + 2 * edge} ${height + 2 * edge}`,
    tabindex: 0, role: "application", "aria-label": `${d.title}: arrow keys walk along the arrows`}, el("svg:title", {}, d.title));
  const bend = ([x0, y0], [x1, y1]) => `C${x0} ${(y0 + y1) / 2} ${x1} ${(y0 + y1) / 2} ${x1} ${y1}`;
  const lines = d.routes.map(([a, b, points]) => {
    const [x, y] = points[points.length - 1];
    const path = el("svg:g", {}, el("svg:path", {d: `M${points[0].join(" ")}${points.slice(1).map((p, k) => bend(points[k], p)).join("")}`, style: "fill:none;stroke:currentColor;stroke-width:1.2"}),
      el("svg:path", {d: `M${x} ${y}l-3.5 -7h7Z`, style: "fill:currentColor"}));
    plot.append(path);
    return path;
  });
  const boxes = d.boxes.map((box, k) => {
    const [x, y] = box.at, [w, h] = box.size, words = [box.label, ...box.lines].join(", ");
    const group = el("svg:g", {}, el("svg:title", {}, box.about ? `${words}. ${box.about}` : words),
      el("svg:rect", {x: x - w / 2, y: y - h / 2, width: w, height: h, rx: 5, style: `fill:color-mix(in srgb, ${tones[box.kind]} 15%, var(--paper));stroke:${tones[box.kind]}`}),
      el("svg:text", {x, y: y - h / 2 + 12, "text-anchor": "middle", "dominant-baseline": "central", style: "font-size:11.5px;font-weight:700"}, box.label),
      ...box.lines.map((line, n) => el("svg:text", {x, y: y - h / 2 + 26.5 + 13 * n, "text-anchor": "middle", "dominant-baseline": "central", style: "font-size:10.5px;fill:var(--soft)"}, line)));
    group.addEventListener("pointerenter", () => point(k));
    group.addEventListener("pointerdown", () => point(k));
    plot.append(group);
    return group;
  });
  const to = d.boxes.map(() => []), from = d.boxes.map(() => []);
  d.routes.forEach(([a, b]) => { to[a].push(b); from[b].push(a); });
  const reach = (k, next) => { const seen = new Set([k]); for (const n of seen) next[n].forEach((m) => seen.add(m)); return seen; };

  const now = el("p", {class: "now", "aria-live": "polite"}, "Point at a box, or tab to the graph and use the arrow keys.");
  let at = d.boxes.length - 1;
  function point(k) {
    at = k;
    const up = reach(k, from), down = reach(k, to), box = d.boxes[k];
    boxes.forEach((group, n) => {
      group.style.opacity = up.has(n) || down.has(n) ? 1 : 0.3;
      group.childNodes[1].style.strokeWidth = n === k ? 3 : 1;
    });
    lines.forEach((path, n) => {
      const [a, b] = d.routes[n], lit = (up.has(a) && up.has(b)) || (down.has(a) && down.has(b));
      path.style.color = lit ? "var(--mark)" : "var(--soft)";
      path.style.opacity = lit ? 1 : 0.3;
    });
    const named = (list) => list.length ? list.map((n) => d.boxes[n].label).join(", ") : "nothing";
    now.replaceChildren(el("b", {}, box.label), box.lines.length ? ` ${box.lines.join(" · ")}` : "", box.about ? ` · ${box.about}` : "",
      el("br"), `made of ${named(from[k])}; goes into ${named(to[k])}`);
  }
  // left and right: the next box in the same rank
  const beside = (way) => {
    const [x, y] = d.boxes[at].at, near = d.boxes.map((_, n) => n).filter((n) => Math.abs(d.boxes[n].at[1] - y) < 1 && (d.boxes[n].at[0] - x) * way > 0);
    return near.sort((a, b) => Math.abs(d.boxes[a].at[0] - x) - Math.abs(d.boxes[b].at[0] - x))[0] ?? at;
  };
  plot.addEventListener("focus", () => point(at));
  onKeys(plot, ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"], (key) => {
    point({ArrowUp: () => from[at][0] ?? at, ArrowDown: () => to[at][0] ?? at, ArrowLeft: () => beside(-1), ArrowRight: () => beside(1), Home: () => 0, End: () => d.boxes.length - 1}[key]());
    boxes[at].scrollIntoView({block: "nearest", inline: "nearest"});
  });
  lines.forEach((path) => { path.style.color = "var(--soft)"; });
  const kinds = {op: "operation", leaf: "input", parameter: "parameter", group: "module", output: "result"}, used = Object.keys(kinds).filter((kind) => d.boxes.some((box) => box.kind === kind));
  const legend = el("p", {class: "soft"}, ...used.flatMap((kind) => [el("span", {style: `display:inline-block;width:1em;height:1em;border-radius:3px;vertical-align:-.15em;background:${tones[kind]}`}), ` ${kinds[kind]}  `]));
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), legend, now, el("div", {class: "wide", style: "max-height:85vh"}, plot));
}
