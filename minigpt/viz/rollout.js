// Small maps of every layer and of the rollout; the query pointed at is unrolled into one row for each of them.
function draw(d) {
  const map = d.maps[0], tokens = map.columns.labels, T = tokens.length, rows = map.rows.labels, N = rows.length, all = unpacked(d.values, d.triangle, T, T);
  const shade = shader(d.scale), now = el("p", {class: "now", "aria-live": "polite"}), side = limit(Math.floor(900 / N), 70, 150);
  let q = T - 1, row = N - 1, key = T - 1;
  const slice = () => { const out = new Float32Array(N * T); for (let n = 0; n < N; n++) out.set(all.subarray((n * T + q) * T, (n * T + q + 1) * T), n * T); return out; };
  const panel = heatMap({...map, written: false}, shade, (r, c) => { [row, key] = [r, c]; tell(); }, d.title);

  const bands = [], thumbs = rows.map((name, n) => {
    const canvas = el("canvas", {width: T, height: T, class: side >= T ? "crisp" : "", style: `width:${side}px;height:${side}px`}), image = new ImageData(T, T);
    for (let k = 0; k < T * T; k++) image.data.set(shade(all[n * T * T + k]), 4 * k);
    canvas.getContext("2d").putImageData(image, 0, 0);
    const band = el("span", {class: "mark"}), box = el("div", {class: "map"}, canvas, band);
    bands.push(band);
    const move = (event) => {
      const area = box.getBoundingClientRect(), cell = (x, size) => limit(Math.floor(x / size * T), 0, T - 1);
      row = n;
      key = cell(event.clientX - area.left, area.width);
      query(cell(event.clientY - area.top, area.height));
    };
    box.addEventListener("pointermove", move);
    box.addEventListener("pointerdown", move);
    return el("div", {}, box, el("div", {class: "soft", style: `text-align:center${n === N - 1 ? ";font-weight:700;color:var(--ink)" : ""}`}, name));
  });

  const text = el("div", {class: "text", tabindex: 0, role: "application", "aria-label": `${d.title}: arrow keys choose the query token`});
  const words = tokens.map((token, k) => {
    const word = el("span", {title: `token ${k}`}, token);
    word.addEventListener("pointerenter", () => query(k));
    word.addEventListener("pointerdown", () => query(k));
    text.append(word);
    return word;
  });
  function tell() {
    panel.mark(row, key);
    now.replaceChildren(`query ${q} `, el("b", {}, tokens[q]), ` → key ${key} `, el("b", {}, tokens[key]), ": ",
      el("b", {}, `${rows[row]} ${number(panel.values[row * T + key])}`), row < N - 1 ? `, rollout ${number(panel.values[(N - 1) * T + key])}` : "");
  }
  function query(k) {
    q = limit(k, 0, T - 1);
    panel.paint(slice());
    bands.forEach((band) => { band.style.cssText = `top:${100 * q / T}%;left:0;height:${100 / T}%;width:100%`; });
    words.forEach((word, n) => {
      const colour = shade(panel.values[(N - 1) * T + n]);
      word.className = n === q ? "query" : "";
      word.style.background = `rgba(${colour.slice(0, 3)},${colour[3] / 255})`;
      word.style.color = inkOn(colour);
    });
    tell();
  }
  text.addEventListener("focus", () => query(q));
  onKeys(text, ["ArrowLeft", "ArrowRight", "Home", "End"], (name) => query({ArrowLeft: q - 1, ArrowRight: q + 1, Home: 0, End: T - 1}[name]));
  query(q);
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), now,
    el("p", {class: "soft"}, "The text, shaded by the rollout of the framed query. Point at a token, or tab to the text and use the arrow keys, to choose another."), text,
    el("p", {class: "soft", style: "margin-top:8px"}, "What that query reads, layer by layer, and what the rollout gives it:"), el("div", {class: "wide", style: "max-height:70vh"}, panel.node),
    el("div", {style: "display:flex;flex-wrap:wrap;gap:10px;margin-top:8px"}, ...thumbs), colourBar(d.scale, shade));
}
