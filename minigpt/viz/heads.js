// Lines between two columns of tokens, queries left, keys right; one colour a head, as strong as the weight.
function draw(d) {
  const {L, H, T, K, keyTokens, at, masked, nats, paddedQuery, paddedKey} = readWeights(d);
  const most = Math.max(T, K), row = most <= 32 ? 22 : most <= 64 ? 16 : 13, font = Math.min(13, row - 2);
  // lines of the overview; a token pointed at shows all of its lines
  const MOST_LINES = 3000;
  const shade = (h) => d.headColours[h % d.headColours.length];
  const dash = (h) => d.dashes[Math.floor(h / d.headColours.length)];
  const active = new Set(d.heads);
  // The token that is looked at: side 0 a query, 1 a key, null none; `other`: the token at the other end, or null.
  let layer = d.layer, side = null, token = 0, other = null, pinned = false;
  const limit = (x, n) => Math.max(0, Math.min(n - 1, x));
  const heads = () => [...active].sort((a, b) => a - b);
  const weight = (h, i, j) => masked(i, j) ? 0 : at(layer, h, i, j);
  const pair = (k) => side === 0 ? [token, k] : [k, token];
  const now = el("p", {class: "now", "aria-live": "polite"});

  // columns of tokens, each with a place for the strongest weight on a line to it
  function column(tokens, padded, which) {
    const box = el("div", {class: `tokens ${which ? "right" : "left"}`, tabindex: 0, role: "application", style: `font-size:${font}px;--row:${row}px`,
      "aria-label": `${which ? "keys" : "queries"}: up and down choose a token, left and right the column, Escape shows all lines`});
    const rows = tokens.map((text, k) => {
      const number = el("span", {class: "number"}), name = el("span", {class: "name", title: `token ${k}: ${text}`}, text);
      const stripes = el("span", {class: "stripes"}), parts = [number, name, stripes];
      const line = el("div", padded.has(k) ? {class: "later"} : {}, ...(which ? parts.reverse() : parts));
      box.append(line);
      return {line, number, stripes};
    });
    const under = (event) => {
      const area = box.getBoundingClientRect();
      return limit(Math.floor((event.clientY - area.top) / row), tokens.length);
    };
    box.addEventListener("pointermove", (event) => {
      const k = under(event);
      if (pinned && side !== which) { if (other !== k) { other = k; show(); } }
      else if (!pinned && (side !== which || token !== k)) look(which, k);
    });
    box.addEventListener("pointerdown", (event) => {
      const k = under(event);
      const again = pinned && side === which && token === k;
      look(which, k);
      pinned = !again;
      show();
    });
    box.addEventListener("focus", () => { if (side === null) look(which, 0); });
    onKeys(box, ["ArrowUp", "ArrowDown", "Home", "End", "ArrowLeft", "ArrowRight", "Escape"], (key) => {
      if (key === "Escape") return everything();
      if (key === "ArrowLeft" || key === "ArrowRight") {
        columns[key === "ArrowRight" ? 1 : 0].box.focus();
        return look(key === "ArrowRight" ? 1 : 0, side === null ? 0 : token);
      }
      const n = tokens.length;
      look(which, {ArrowUp: token - 1, ArrowDown: token + 1, Home: 0, End: n - 1}[key]);
    });
    return {box, rows};
  }

  function look(which, k) {
    [side, token, other, pinned] = [which, limit(k, which ? K : T), null, false];
    show();
  }
  function everything() {
    [side, other, pinned] = [null, null, false];
    show();
  }

  // lines; strokes of one head and about one strength are drawn together
  const wide = 260, canvas = el("canvas", {style: `width:${wide}px;height:${most * row}px;background:none`, role: "img", "aria-label": d.title});
  function paint() {
    const ratio = window.devicePixelRatio || 1, pen = canvas.getContext("2d");
    [canvas.width, canvas.height] = [wide * ratio, most * row * ratio];
    pen.scale(ratio, ratio);
    pen.lineWidth = side === null ? 1.2 : 2;
    const counts = new Array(256).fill(0), every = side === null;
    const eachPair = (visit) => {
      for (let i = every || side ? 0 : token; i < (every || side ? T : token + 1); i++)
        for (let j = side === 1 ? token : 0; j < (side === 1 ? token + 1 : K); j++)
          if (!masked(i, j)) visit(i, j);
    };
    if (every) eachPair((i, j) => active.forEach((h) => counts[at(layer, h, i, j)]++));
    let least = 256, lines = 0;
    if (every) while (least > 1 && lines + counts[least - 1] <= MOST_LINES) lines += counts[--least];
    else least = 1;
    const paths = new Map();
    eachPair((i, j) => active.forEach((h) => {
      const w = at(layer, h, i, j), key = h * 32 + (w >> 3);
      if (w < least) return;
      if (!paths.has(key)) paths.set(key, new Path2D());
      paths.get(key).moveTo(2, (i + 0.5) * row);
      paths.get(key).lineTo(wide - 2, (j + 0.5) * row);
    }));
    for (const [key, path] of paths) {
      const h = key >> 5;
      pen.globalAlpha = Math.min(1, ((key & 31) * 8 + 4) / 255);
      pen.strokeStyle = shade(h);
      pen.setLineDash(dash(h));
      pen.stroke(path);
    }
    note.textContent = every && least > 1 ? `Drawn are weights from ${(least / 255).toFixed(2)} up; a token pointed at shows all of its lines.` : "";
  }

  function show() {
    paint();
    columns.forEach(({rows}, which) => rows.forEach(({line, number, stripes}, k) => {
      const chosen = side === which && token === k || side !== null && side !== which && other === k;
      line.classList.toggle("chosen", chosen);
      number.textContent = stripes.style.backgroundImage = "";
      stripes.style.width = `${5 * active.size}px`;
      if (side === null || side === which) return;
      let best = null;
      for (const h of heads()) if (best === null || weight(h, ...pair(k)) > weight(best, ...pair(k))) best = h;
      if (best === null) return;
      const w = weight(best, ...pair(k));
      if (w > 1) number.textContent = `H${best} ${(w / 255).toFixed(2)}`;
      // a stripe for every head that is drawn, as strong as its weight
      const n = active.size, bands = heads().map((h, x) => {
        const tint = `color-mix(in srgb, ${shade(h)} ${Math.round(weight(h, ...pair(k)) / 2.55)}%, transparent)`;
        return `${tint} ${100 * x / n}% ${100 * (x + 1) / n}%`;
      });
      stripes.style.backgroundImage = `linear-gradient(90deg, ${bands.join(",")})`;
    }));
    buttons.forEach((button, h) => button.setAttribute("aria-pressed", active.has(h)));
    frame.setAttribute("data-pinned", pinned);
    const words = (k, which) => [`${which ? "key" : "query"} ${k} `, el("b", {}, (which ? keyTokens : d.tokens)[k])];
    if (side === null) return now.replaceChildren("Point at a token, or tab to a column and use the arrow keys; a click holds it, Escape shows all lines.");
    if (!active.size) return now.replaceChildren("No head is drawn: switch some on.");
    if (other !== null) {
      const [i, j] = pair(other);
      return now.replaceChildren(`layer ${d.layers[layer]}: `, ...words(i, 0), " → ", ...words(j, 1), ": ",
        masked(i, j) ? "masked" : heads().map((h) => `H${h} ${(weight(h, i, j) / 255).toFixed(2)}`).join(", "));
    }
    const strongest = heads().map((h) => {
      let best = 0;
      for (let k = 0; k < (side ? T : K); k++) if (weight(h, ...pair(k)) > weight(h, ...pair(best))) best = k;
      const w = weight(h, ...pair(best));
      return w ? `H${h} ${(side ? d.tokens : keyTokens)[best]} ${(w / 255).toFixed(2)}` : `H${h} nothing`;
    });
    now.replaceChildren(`layer ${d.layers[layer]}: `, ...words(token, side), side ? " is read most by: " : " reads most: ", strongest.join(", "));
  }

  // which layer, which heads
  const buttons = [];
  for (let h = 0; h < H; h++) {
    const line = el("svg:svg", {width: 18, height: 10, "aria-hidden": "true"},
      el("svg:line", {x1: 0, x2: 18, y1: 5, y2: 5, stroke: shade(h), "stroke-width": 4, "stroke-dasharray": dash(h).map((x) => 2 * x).join(" ")}));
    const button = el("button", {class: "toggle", type: "button"}, line, `H${h}`);
    button.addEventListener("click", () => { if (!active.delete(h)) active.add(h); show(); });
    button.addEventListener("dblclick", () => { active.clear(); active.add(h); show(); });
    buttons.push(button);
  }
  const several = (text, action) => {
    const button = el("button", {class: "toggle", type: "button"}, text);
    button.addEventListener("click", () => { action(); show(); });
    return button;
  };
  const choice = el("select", {"aria-label": "layer"}, ...Array.from({length: L}, (_, l) => el("option", l === layer ? {value: l, selected: ""} : {value: l}, `layer ${d.layers[l]}`)));
  const name = () => buttons.forEach((button, h) => {
    button.title = `head ${h}, mean entropy ${nats(layer, h)}; double click: this one alone`;
    button.setAttribute("aria-label", `head ${h}, mean entropy ${nats(layer, h)}`);
  });
  choice.addEventListener("change", () => { layer = Number(choice.value); name(); show(); });
  const all = () => { for (let h = 0; h < H; h++) active.add(h); };
  const controls = el("div", {class: "controls"}, choice, ...buttons, several("all heads", all), several("no head", () => active.clear()), several("all tokens", everything));
  const note = el("p", {class: "soft"});
  const columns = [column(d.tokens, paddedQuery, 0), column(keyTokens, paddedKey, 1)];
  const frame = el("div", {class: "lines"}, el("span", {class: "soft", style: "text-align:right"}, "query"), el("span"), el("span", {class: "soft"}, "key"),
    columns[0].box, canvas, columns[1].box);
  name();
  show();
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, "Lines: attention weight, 0 to 1; beside each token, a stripe for every head and the strongest of them by name."),
    controls, now, el("div", {class: "wide"}, frame), note);
}
