// A map of scores, and for the pair chosen on it: q, k, their product and its running sum as bars, channel by channel.
function draw(d) {
  const map = d.maps[0], Tk = map.columns.labels.length, Tq = map.rows.labels.length, D = d.labels.length, shade = shader(d.scale);
  const [q, k] = ["q", "k"].map((name) => reals(d.inputs[name]));
  let [i, j] = d.at, over = d.at, channel = null, held = false, shown = {};
  const now = el("p", {class: "now", "aria-live": "polite", style: "min-height:3.6em"});
  const hidden = () => Number.isNaN(panel.values[i * Tk + j]);

  // the four rows of bars
  const wide = limit(Math.floor(600 / D), 6, 44), tall = 74, left = 100, names = {q: "q", k: "k", products: "q k / √D", running: "running sum"};
  const plot = el("svg:svg", {width: left + D * wide + 10, height: 4 * (tall + 22) + 24, role: "application", tabindex: 0, "aria-label": `${d.title}: left and right choose a channel`});
  function bars() {
    const products = d.labels.map((_, c) => q[i * D + c] * k[j * D + c] / Math.sqrt(D));
    let total = 0;
    shown = {q: Array.from(q.subarray(i * D, (i + 1) * D)), k: Array.from(k.subarray(j * D, (j + 1) * D)), products, running: products.map((x) => total += x)};
    plot.replaceChildren(...Object.entries(shown).flatMap(([name, values], n) => {
      const high = Math.max(...values.map(Math.abs)) || 1, up = values.some((v) => v > 0) ? 1 : 0, down = values.some((v) => v < 0) ? 1 : 0;
      const zero = n * (tall + 22) + 16 + (up ? tall / (1 + down) : down ? 0 : tall), scale = tall / (up + down || 1) / high;
      const parts = [text(left - 8, zero, "end", names[name], 13), el("svg:path", {d: `M${left} ${zero}H${left + D * wide}`, style: "stroke:var(--soft);fill:none"})];
      values.forEach((v, c) => {
        const height = Math.abs(v) * scale;
        parts.push(el("svg:rect", {x: left + c * wide + wide * 0.1, width: wide * 0.8, y: v < 0 ? zero : zero - height, height, "data-bar": `${name} ${c}`, style: `fill:color-mix(in srgb, ${d.signs[v < 0 ? 1 : 0]} 80%, var(--ink));opacity:${channel === null || channel === c ? 1 : .45}`}));
        if (wide >= 30) parts.push(text(left + (c + 0.5) * wide, v < 0 ? zero + height + 7 : zero - height - 7, "middle", short(v), 11));
      });
      return parts;
    }), ...d.labels.map((label, c) => c % Math.ceil(18 / wide) ? "" : text(left + (c + 0.5) * wide, 4 * (tall + 22) + 14, "middle", label, 11)),
    text(left - 8, 4 * (tall + 22) + 14, "end", "channel", 12));
  }
  const text = (x, y, anchor, words, size) => el("svg:text", {x, y, "text-anchor": anchor, "dominant-baseline": "central", "font-size": size}, words);

  function tell() {
    const pair = [`query ${i} `, el("b", {}, map.rows.labels[i]), ", ", `key ${j} `, el("b", {}, map.columns.labels[j]), hidden() ? " (masked: may not be seen)" : ""];
    const {products, running} = shown;
    if (channel === null) {
      const order = d.labels.map((_, c) => c).sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, 3);
      return now.replaceChildren(...pair, ": score ", el("b", {}, say(running[D - 1])), el("br"), "most of it: ", order.map((c) => `channel ${c} ${say(products[c])}`).join(", "));
    }
    now.replaceChildren(...pair, `, channel ${channel}:`, el("br"), `${factor(shown.q[channel])} · ${factor(shown.k[channel])} ÷ √${D} = `, el("b", {}, say(products[channel])),
      "; running sum ", el("b", {}, say(running[channel])), ` of ${say(running[D - 1])}`);
  }
  function choose(query, key) {
    [i, j] = [query, key];
    panel.mark(i, j);
    bars();
    tell();
  }
  const panel = heatMap({...map, cell: map.written ? [42, 22] : [limit(Math.floor(380 / Tk), 5, 42), limit(Math.floor(380 / Tq), 7, 22)]}, shade, (r, c) => {
    over = [r, c];
    if (!held) choose(r, c);
  }, d.title);
  // a click holds a pair, so that the pointer can go over to the bars; a second one lets it go
  function hold(yes) {
    held = yes;
    hint.textContent = yes ? "The pair is held: a click on it or Escape lets it go." : "Point at a score, or tab to the map and use the arrow keys; a click holds the pair. Point at a bar, or tab to the bars, for one channel.";
  }
  panel.node.addEventListener("click", () => {
    const same = over[0] === i && over[1] === j;
    hold(!(held && same));
    choose(...over);
  });
  onKeys(panel.node, ["Escape"], () => hold(false));
  const hint = el("p", {class: "soft"});
  const pick = (c) => { if (c !== channel) { channel = c; bars(); tell(); } };
  const under = (event) => {
    const c = Math.floor((event.clientX - plot.getBoundingClientRect().left - left) / wide);
    pick(c >= 0 && c < D ? c : null);
  };
  plot.addEventListener("pointermove", under);
  plot.addEventListener("pointerdown", under);
  plot.addEventListener("pointerleave", () => pick(null));
  onKeys(plot, ["ArrowLeft", "ArrowRight", "Home", "End", "Escape"], (key) =>
    pick(key === "Escape" ? null : limit({ArrowLeft: (channel ?? D) - 1, ArrowRight: (channel ?? -1) + 1, Home: 0, End: D - 1}[key], 0, D - 1)));
  hold(false);
  choose(i, j);
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), hint, now, el("div", {class: "row"},
    el("div", {style: "max-width:100%"}, el("div", {class: "wide", style: "max-height:85vh"}, panel.node), colourBar(d.scale, shade)), el("div", {class: "wide"}, plot)));
}
