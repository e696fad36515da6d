// The text as it was drawn, token by token; below it the candidates of the token pointed at, stage by stage.
function draw(d) {
  const T = d.tokens.length, S = d.stages.length, K = d.tokens[0].length;
  const numbers = (text) => new Float32Array(bytes(text).buffer);
  const p = numbers(d.probabilities), rest = numbers(d.rest), rgb = bytes(d.colours);
  const at = (t, s, k) => k < K ? p[(t * S + s) * K + k] : rest[t * S + s];
  const shown = (x) => x === 0 ? "–" : x < 0.0005 ? "<.001" : x.toFixed(3);
  function paint(node, x) {
    const c = 3 * Math.round(255 * Math.min(1, x));
    node.style.background = x === 0 ? "var(--masked)" : `rgb(${rgb[c]},${rgb[c + 1]},${rgb[c + 2]})`;
    node.style.color = x === 0 ? "var(--soft)" : rgb[c + 1] > 130 ? "#000" : "#fff";
  }

  let t = 0;
  const now = el("p", {class: "now", "aria-live": "polite"});
  const text = el("div", {class: "text", tabindex: 0, role: "application",
    "aria-label": `${d.title}: arrow keys move from token to token`}, el("span", {class: "later", style: "white-space:normal"}, d.prompt));
  const words = d.tokens.map((row, step) => {
    const word = el("span", {title: `token ${step + 1}`}, row[d.drawn[step]]);
    paint(word, at(step, S - 1, d.drawn[step]));
    word.addEventListener("pointerenter", () => point(step));
    word.addEventListener("pointerdown", () => point(step));
    text.append(word);
    return word;
  });
  const body = el("tbody", {});
  const table = el("table", {class: "stages"},
    el("thead", {}, el("tr", {}, el("th", {scope: "col"}, "candidate"), ...d.stages.map((name) => el("th", {scope: "col"}, name)))), body);

  function point(step) {
    t = Math.max(0, Math.min(T - 1, step));
    words.forEach((word, k) => word.classList.toggle("query", k === t));
    const drawn = d.drawn[t];
    now.replaceChildren(`token ${t + 1} of ${T}: `, el("b", {}, d.tokens[t][drawn]),
      S === 1 ? `, probability ${shown(at(t, 0, drawn))}` : `, probability ${shown(at(t, 0, drawn))} in the model, ${shown(at(t, S - 1, drawn))} when it was drawn`);
    body.replaceChildren();
    for (let k = 0; k <= K; k++) {
      const row = el("tr", k === drawn ? {class: "drawn"} : {}, el("th", {scope: "row"}, k < K ? d.tokens[t][k] : "all others"));
      for (let s = 0; s < S; s++) {
        const cell = el("td", {}, shown(at(t, s, k)));
        paint(cell, at(t, s, k));
        row.append(cell);
      }
      body.append(row);
    }
  }
  text.addEventListener("focus", () => point(t));
  onKeys(text, ["ArrowLeft", "ArrowRight", "Home", "End"], (key) =>
    point({ArrowLeft: t - 1, ArrowRight: t + 1, Home: 0, End: T - 1}[key]));
  point(0);
  return el("div", {}, el("h4", {}, d.title),
    el("p", {class: "soft"}, `The text, shaded by the probability ${S === 1 ? "of each token" : "with which each token was drawn"}. Point at a token, or tab to the text and use the arrow keys. ${S === 1 ? "Framed: the token of the text." : "–: removed; framed: drawn."}`),
    text, now, el("div", {class: "wide"}, table));
}
