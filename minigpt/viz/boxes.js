// Boxes in layers and the arrows between them, as one SVG. boxes[k] is a <g>: title, rect, label, lines.
const tones = {op: "#8b8b98", leaf: "#E69F00", parameter: "#0072B2", group: "#009E73", output: "#D55E00"};

function boxesAndArrows(d, label, point) {
  const edge = 12, [width, height] = d.size;
  const plot = el("svg:svg", {width: width + 2 * edge, height: height + 2 * edge, viewBox: `${-edge} ${-edge} ${width + 2 * edge} ${height + 2 * edge}`,
    tabindex: 0, role: "application", "aria-label": label}, el("svg:title", {}, d.title));
  const bend = ([x0, y0], [x1, y1]) => `C${x0} ${(y0 + y1) / 2} ${x1} ${(y0 + y1) / 2} ${x1} ${y1}`;
  const lines = d.routes.map(([a, b, points]) => {
    const [x, y] = points[points.length - 1];
    const path = el("svg:g", {}, el("svg:path", {d: `M${points[0].join(" ")}${points.slice(1).map((p, k) => bend(points[k], p)).join("")}`, style: "fill:none;stroke:currentColor;stroke-width:1.2"}),
      el("svg:path", {d: `M${x} ${y}l-3.5 -7h7Z`, style: "fill:currentColor"}));
    path.style.color = "var(--soft)";
    plot.append(path);
    return path;
  });
  const boxes = d.boxes.map((box, k) => {
    const [x, y] = box.at, [w, h] = box.size, words = [box.label, ...box.lines].join(", ");
    const group = el("svg:g", {}, el("svg:title", {}, box.about ? `${words}. ${box.about}` : words),
      el("svg:rect", {x: x - w / 2, y: y - h / 2, width: w, height: h, rx: 5, style: `fill:${mixed(box.kind, 15)};stroke:${tones[box.kind]}`}),
      el("svg:text", {x, y: y - h / 2 + 12, "text-anchor": "middle", "dominant-baseline": "central", style: "font-size:11.5px;font-weight:700"}, box.label),
      ...box.lines.map((line, n) => el("svg:text", {x, y: y - h / 2 + 26.5 + 13 * n, "text-anchor": "middle", "dominant-baseline": "central", style: "font-size:10.5px;fill:var(--soft)"}, line)));
    group.addEventListener("pointerenter", () => point(k));
    group.addEventListener("pointerdown", () => point(k));
    plot.append(group);
    return group;
  });
  return {plot, boxes, lines};
}

// so much per cent of the colour of a kind of box
function mixed(kind, share) {
  return `color-mix(in srgb, ${tones[kind]} ${share}%, var(--paper))`;
}

function boxLegend(d) {
  const kinds = {op: "operation", leaf: "input", parameter: "parameter", group: "module", output: "result"}, used = Object.keys(kinds).filter((kind) => d.boxes.some((box) => box.kind === kind));
  return el("p", {class: "soft"}, ...used.flatMap((kind) => [el("span", {style: `display:inline-block;width:1em;height:1em;border-radius:3px;vertical-align:-.15em;background:${tones[kind]}`}), ` ${kinds[kind]}  `]));
}
