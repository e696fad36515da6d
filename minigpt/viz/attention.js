// The layer × head grid: small maps to compare, one large map to read, and the text shaded by one query row.
function draw(d) {
  const {L, H, T, K, keyTokens, rgb, masked, at, why, colour, name, nats, grey} = readWeights(d);
  const most = Math.max(T, K);
  const limit = (x, low, high) => Math.max(low, Math.min(high, x));
  const short = (text) => { const c = [...text]; return c.length > 14 ? c.slice(0, 13).join("") + "…" : text; };

  // One pixel a cell; masked cells stay transparent and show the grey behind.
  function paint(canvas, l, h, size) {
    [canvas.width, canvas.height] = [K, T];
    canvas.style.width = `${size * K / most}px`;
    canvas.style.height = `${size * T / most}px`;
    canvas.className = size >= most ? "crisp" : "";
    const image = new ImageData(K, T);
    for (let i = 0; i < T; i++)
      for (let j = 0; j < K; j++) {
        if (masked(i, j)) continue;
        const w = at(l, h, i, j), p = 4 * (i * K + j);
        image.data[p] = rgb[3 * w];
        image.data[p + 1] = rgb[3 * w + 1];
        image.data[p + 2] = rgb[3 * w + 2];
        image.data[p + 3] = 255;
      }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  // The cell under the pointer: layer l, head h, query i, key j; big = the head shown large.
  let l = 0, h = 0, i = T - 1, j = 0, big = [0, 0];
  const now = el("p", {class: "now", "aria-live": "polite"});
  const mark = el("span", {class: "mark"}), cross = el("span", {class: "mark"}), band = el("span", {class: "mark"});
  const text = el("div", {class: "text", "aria-hidden": "true"}), about = el("p", {class: "soft"});
  const words = keyTokens.map((token, k) => {
    const word = el("span", {title: `token ${k}`}, token);
    word.addEventListener("pointerenter", () => d.keys ? point(big[0], big[1], i, k)
      : point(big[0], big[1], k, limit(j, 0, d.causal ? k : T - 1)));
    text.append(word);
    return word;
  });

  function place(box, row, column, rows, columns) {
    box.style.cssText = `top:${100 * row / T}%;left:${100 * column / K}%;height:${100 * rows / T}%;width:${100 * columns / K}%`;
  }

  function point(layer, head, query, key) {
    [l, h, i, j] = [layer, head, query, key];
    let dead = true;
    words.forEach((word, k) => {
      const w = masked(i, k) ? 0 : at(l, h, i, k);
      if (w) dead = false;
      word.className = (masked(i, k) ? "later" : "") + (k === i && !d.keys ? " query" : "");
      word.style.backgroundColor = masked(i, k) ? "" : colour(w);
      word.style.color = masked(i, k) ? "" : rgb[3 * w + 1] > 130 ? "#000" : "#fff";
    });
    const weight = masked(i, j) ? why(i, j) : dead ? "0, this query attends to nothing" : (at(l, h, i, j) / 255).toFixed(2);
    now.replaceChildren(`${name(l, h)}: query ${i} `, el("b", {}, d.tokens[i]), ` → key ${j} `, el("b", {}, keyTokens[j]), ": ", el("b", {}, weight));
    about.textContent = `The text, shaded by what query ${i} reads in ${name(l, h)}:`;
    buttons[l][h].firstChild.append(mark);
    place(mark, i, 0, 1, K);
    const here = l === big[0] && h === big[1];
    band.hidden = cross.hidden = !here;
    if (here) { place(band, i, 0, 1, K); place(cross, i, j, 1, 1); }
    queries.forEach((label, k) => label.classList.toggle("on", here && k === i));
    keys.forEach((label, k) => label.classList.toggle("on", here && k === j));
  }

  // Pointer and arrow keys over a map; `which` tells the head it shows.
  function listen(target, map, which) {
    const move = (event) => {
      const box = map.getBoundingClientRect();
      const cell = (offset, side, n) => limit(Math.floor(offset / side * n), 0, n - 1);
      point(...which(), cell(event.clientY - box.top, box.height, T), cell(event.clientX - box.left, box.width, K));
    };
    map.addEventListener("pointermove", move);
    map.addEventListener("pointerdown", move);
    onKeys(target, ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"], (key) => {
      if (key === "Home" || key === "End") return point(...which(), key === "Home" ? 0 : T - 1, j);
      const [down, right] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[key];
      point(...which(), limit(i + down, 0, T - 1), limit(j + right, 0, K - 1));
    });
  }

  // small maps
  const size = limit(Math.floor(470 / Math.max(H, Math.min(L, 8))), 54, 150);
  const heads = el("div", {class: "heads", style: `grid-template-columns:auto repeat(${H},${size}px)`}, el("span"));
  for (let b = 0; b < H; b++) heads.append(el("span", {}, size < 80 ? `H${b}` : `head ${b}`));
  const buttons = [];
  for (let a = 0; a < L; a++) {
    heads.append(el("span", {}, size < 80 ? `L${d.layers[a]}` : `layer ${d.layers[a]}`));
    buttons.push([]);
    for (let b = 0; b < H; b++) {
      const canvas = el("canvas"), map = el("div", {class: "map"}, canvas);
      paint(canvas, a, b, size);
      const label = size < 80 ? nats(a, b).replace(" nats", "") : nats(a, b);
      const button = el("button", {class: "head", type: "button", "aria-label": `${name(a, b)}, mean entropy ${nats(a, b)}; enlarge`}, map, label);
      listen(button, map, () => [a, b]);
      button.addEventListener("focus", () => point(a, b, i, j));
      button.addEventListener("click", (event) => {
        enlarge(a, b);
        // the keyboard goes on in the large map; the page moves only if that map is out of sight
        if (event.detail === 0) large.focus({preventScroll: true});
        const top = pane.getBoundingClientRect().top;
        if (top < -200 || top > 0.8 * innerHeight) pane.scrollIntoView({block: "start"});
      });
      buttons[a].push(button);
      heads.append(button);
    }
  }

  // the large map with token labels; its labels stay in sight when it scrolls
  const cell = limit(Math.floor(430 / most), 10, 30), wide = cell * K, tall = cell * T, font = Math.min(13, cell);
  const pen = el("canvas").getContext("2d");
  pen.font = `${font}px sans-serif`;
  const room = Math.max(56, 10 + Math.ceil(1.12 * Math.max(...[...d.tokens, ...keyTokens].map((token) => pen.measureText(short(token)).width))));
  const labels = (where) => (where === "up" ? keyTokens : d.tokens).map((token, k) => {
    const middle = (k + 0.5) * cell;
    return el("svg:text", {
      "font-size": font, "dominant-baseline": "central", "text-anchor": where === "up" ? "start" : "end",
      transform: where === "up" ? `translate(${middle},${room - 5}) rotate(-90)` : `translate(${room - 5},${middle})`,
    }, el("svg:title", {}, `token ${k}: ${token}`), short(token));
  });
  const queries = labels("side"), keys = labels("up");
  const canvas = el("canvas"), map = el("div", {class: "map"}, canvas, band, cross);
  const large = el("div", {class: "big", tabindex: 0, role: "application", style: `grid-template-columns:${room}px ${wide}px`},
    el("div", {class: "up corner"}, el("div", {}, "key →"), el("div", {}, "query ↓")),
    el("div", {class: "up"}, el("svg:svg", {width: wide, height: room, "aria-hidden": "true"}, ...keys)),
    el("div", {class: "side"}, el("svg:svg", {width: room, height: tall, "aria-hidden": "true"}, ...queries)), map);
  const heading = el("p", {});
  listen(large, map, () => big);
  onKeys(large, ["Escape"], () => buttons[big[0]][big[1]].focus());

  function enlarge(a, b) {
    buttons[big[0]][big[1]].setAttribute("aria-pressed", "false");
    big = [a, b];
    buttons[a][b].setAttribute("aria-pressed", "true");
    heading.replaceChildren(el("b", {}, name(a, b)), ` · mean entropy ${nats(a, b)}`);
    large.setAttribute("aria-label", `${name(a, b)}, large: arrow keys move over queries and keys, Escape goes back`);
    paint(canvas, a, b, cell * most);
    point(a, b, i, j);
  }

  // colour bar: the colours of 0, 1/255, … 1
  const ramp = el("canvas", {width: 256, height: 1, style: "width:260px;height:12px"});
  const strip = new ImageData(256, 1);
  for (let w = 0; w < 256; w++) strip.data.set([rgb[3 * w], rgb[3 * w + 1], rgb[3 * w + 2], 255], 4 * w);
  ramp.getContext("2d").putImageData(strip, 0, 0);
  const bar = el("div", {class: "soft", role: "img", "aria-label": "colour bar: attention weight, 0 to 1"}, ramp,
    el("div", {style: "display:flex;justify-content:space-between;width:260px"}, ...["0", "0.25", "0.5", "0.75", "1"].map((t) => el("span", {}, t))),
    "attention weight, 0 to 1, shown in steps of 1/255" + grey);
  const pane = el("div", {style: `width:${room + wide + 16}px;max-width:100%`}, heading, el("div", {class: "wide", style: "max-height:85vh"}, large), about, text);

  enlarge(0, 0);
  now.replaceChildren("Point at a cell, or tab to a head and use the arrow keys; click or Enter enlarges a head.");
  return el("div", {}, el("h4", {}, d.title),
    el("p", {class: "soft"}, `Number below each head: mean entropy over its query rows; an even spread would give ${d.even.toFixed(2)} nats.`),
    now, el("div", {class: "row"}, el("div", {class: "wide"}, heads, bar), pane));
}
