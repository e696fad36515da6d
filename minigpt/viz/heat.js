// One heat map with labels: a canvas of one pixel a cell, a frame around the cell pointed at, arrow keys.
const limit = (x, low, high) => Math.max(low, Math.min(high, x));
const clipped = (text, most = 14) => { const c = [...text]; return c.length > most ? c.slice(0, most - 1).join("") + "…" : text; };
const number = (x) => Number.isNaN(x) ? "masked" : x === 0 ? "0" : minus(String(Number(x.toPrecision(4))));
const textWidth = (text, font) => { const pen = el("canvas").getContext("2d"); pen.font = `${font}px sans-serif`; return pen.measureText(text).width; };
const hex = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));

// A function value -> [red, green, blue, opacity], each 0 to 255. Differences fade into the paper towards 0; NaN and −∞ are masked.
function shader(scale) {
  const shade = valueShader(scale);
  return (v) => Number.isFinite(v) ? shade(v) : [128, 128, 136, 75];
}
function valueShader(scale) {
  if (scale.diverging) {
    const [above, below] = scale.colours.map(hex);
    return (v) => [...(v < 0 ? below : above), Math.round(255 * Math.min(1, Math.abs(v) / scale.high))];
  }
  const table = bytes(scale.colours);
  return (v) => { const k = 3 * Math.round(255 * limit(v / scale.high, 0, 1)); return [table[k], table[k + 1], table[k + 2], 255]; };
}
// whether letters on that colour are "#fff", "#000", or those of the paper
const inkOn = ([r, g, b, a]) => a < 130 ? "var(--ink)" : 0.3 * r + 0.59 * g + 0.11 * b > 140 ? "#000" : "#fff";

// A row or column in words, its name bold.
const told = (axis, k) => axis.numbered ? [`${axis.name} ${k} `, el("b", {}, axis.labels[k])] : [el("b", {}, `${axis.name} ${axis.labels[k]}`.trim())];

// Numbers of one or several maps of R × C; of causal maps the page has only the lower triangles.
function unpacked(text, triangle, R, C) {
  const given = floats(text);
  if (!triangle) return given;
  const N = given.length / (R * (R + 1) / 2), out = new Float32Array(N * R * C).fill(NaN);
  for (let n = 0, k = 0; n < N; n++) for (let i = 0; i < R; i++) for (let j = 0; j <= i; j++) out[(n * R + i) * C + j] = given[k++];
  return out;
}

// map: {name, rows, columns, values, triangle, written, cell}, values an array or base64, cell its [width, height] or left
// out; shade: of shader(); point(r, c) is called when a cell is pointed at.
// Returns {node, focus, values, paint(values), mark(r, c)}; mark(r) frames a row, mark(null, c) a column, mark() nothing.
function heatMap(map, shade, point, title) {
  const R = map.rows.labels.length, C = map.columns.labels.length;
  // labels that are only numbers may be left out where cells are small
  const numbers = !map.rows.numbered && !map.columns.numbered;
  const square = limit(Math.floor((numbers ? 800 : 560) / Math.max(R, C)), numbers ? 6 : 10, 30);
  const [wide, tall] = map.cell || (map.written ? [48, 24] : [square, R <= 24 ? Math.max(square, 18) : square]);
  const font = Math.min(13, Math.max(10, Math.min(wide, tall))), canvas = el("canvas", {width: C, height: R, class: "crisp", style: `width:${C * wide}px;height:${R * tall}px;background:none`});
  const space = (axis) => Math.max(...axis.labels.map((text) => textWidth(clipped(text), font))) * 1.12 + 10;
  const upright = map.columns.labels.every((text) => textWidth(text, font) < wide - 4);
  const side = Math.max(68, space(map.rows)), top = upright ? 40 : Math.max(56, space(map.columns));
  const label = (axis, k, room, place) => el("svg:text", {"font-size": font, "dominant-baseline": "central", ...place},
    el("svg:title", {}, axis.numbered ? `${axis.name} ${k}: ${axis.labels[k]}` : `${axis.name} ${axis.labels[k]}`.trim()), k % Math.ceil(10 / room) ? "" : clipped(axis.labels[k]));
  const rows = map.rows.labels.map((_, k) => label(map.rows, k, tall, {"text-anchor": "end", x: side - 6, y: (k + 0.5) * tall}));
  const columns = map.columns.labels.map((_, k) => label(map.columns, k, wide, upright ? {"text-anchor": "middle", x: (k + 0.5) * wide, y: top - 10}
    : {"text-anchor": "start", transform: `translate(${(k + 0.5) * wide},${top - 5}) rotate(-90)`}));
  const frame = el("span", {class: "mark"});
  const written = el("svg:svg", {width: C * wide, height: R * tall, "aria-hidden": "true", style: "position:absolute;left:0;top:0;pointer-events:none"});
  const cells = el("div", {class: "map", style: "outline:1px solid var(--line)"}, canvas, written, frame);
  const node = el("div", {class: "big", tabindex: 0, role: "application", style: `grid-template-columns:${side}px ${C * wide}px`,
    "aria-label": `${[title, map.name].filter(Boolean).join(", ")}: arrow keys move over ${map.rows.name || "row"}s and ${map.columns.name || "column"}s`},
    el("div", {class: "up corner"}, el("div", {}, map.columns.name && `${map.columns.name} →`), el("div", {}, map.rows.name && `${map.rows.name} ↓`)),
    el("div", {class: "up"}, el("svg:svg", {width: C * wide, height: top, "aria-hidden": "true"}, ...columns)),
    el("div", {class: "side"}, el("svg:svg", {width: side, height: R * tall, "aria-hidden": "true"}, ...rows)), cells);
  const self = {
    node, focus: () => node.focus({preventScroll: true}), values: typeof map.values === "string" ? unpacked(map.values, map.triangle, R, C) : map.values,
    paint(values) {
      self.values = values;
      const image = new ImageData(C, R);
      values.forEach((v, k) => image.data.set(shade(v), 4 * k));
      canvas.getContext("2d").putImageData(image, 0, 0);
      if (map.written) written.replaceChildren(...Array.from(values, (v, k) => el("svg:text", {x: (k % C + 0.5) * wide, y: (Math.floor(k / C) + 0.5) * tall, "font-size": 11,
        "text-anchor": "middle", "dominant-baseline": "central", style: `fill:${inkOn(shade(v))}`}, Number.isNaN(v) ? "" : short(v))));
    },
    mark(r = null, c = null) {
      const [top, height] = r === null ? [0, R * tall] : [r * tall, tall], [left, width] = c === null ? [0, C * wide] : [c * wide, wide];
      frame.style.cssText = r === null && c === null ? "display:none" : `top:${top}px;left:${left}px;height:${height}px;width:${width}px`;
      rows.forEach((text, k) => text.classList.toggle("on", k === r));
      columns.forEach((text, k) => text.classList.toggle("on", k === c));
      self.at = [r ?? self.at[0], c ?? self.at[1]];
    },
    at: [0, 0],
  };
  const move = (event) => {
    const box = cells.getBoundingClientRect();
    point(limit(Math.floor((event.clientY - box.top) / box.height * R), 0, R - 1), limit(Math.floor((event.clientX - box.left) / box.width * C), 0, C - 1));
  };
  cells.addEventListener("pointermove", move);
  cells.addEventListener("pointerdown", move);
  node.addEventListener("focus", () => point(...self.at));
  onKeys(node, ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"], (key) => {
    const [r, c] = self.at;
    if (key === "Home" || key === "End") return point(r, key === "Home" ? 0 : C - 1);
    const [down, right] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[key];
    point(limit(r + down, 0, R - 1), limit(c + right, 0, C - 1));
  });
  self.paint(self.values);
  self.mark(null);
  return self;
}
// a number in a cell: three digits mostly, no "0" before the point, 1.2e5 from 100 000 up
const short = (v) => { if (v === -Infinity) return "−∞"; if (Math.abs(v) >= 1e5) return minus(v.toExponential(1).replace("+", "")); const t = Math.abs(v) >= 100 || v === 0 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(1) : v.toFixed(2); return minus(t.replace(/^-(0\.0*)$/, "$1").replace(/^(-?)0\./, "$1.")); };

// The colours from one end of the scale to the other.
function colourBar(scale, shade) {
  const low = scale.diverging ? -scale.high : 0, ramp = el("canvas", {width: 256, height: 1, style: "width:260px;height:12px;background:none;outline:1px solid var(--line)"});
  const strip = new ImageData(256, 1);
  for (let k = 0; k < 256; k++) strip.data.set(shade(low + (scale.high - low) * k / 255), 4 * k);
  ramp.getContext("2d").putImageData(strip, 0, 0);
  const ends = [low, (low + scale.high) / 2, scale.high].map((v) => el("span", {}, number(v)));
  return el("div", {class: "soft", style: "margin-top:8px", role: "img", "aria-label": `colour bar: ${scale.words}, ${number(low)} to ${number(scale.high)}`}, ramp,
    el("div", {style: "display:flex;justify-content:space-between;width:260px"}, ...ends), scale.words);
}
