// One text several times, side by side, each coloured by one score; the token under the cursor is marked in all.
function draw(d) {
  const now = el("p", {class: "now", "aria-live": "polite"}, "Point at a token, or tab to the texts and use the arrow keys, to read its scores.");
  const T = d.tokens.length, copies = [];
  let at = T - 1;
  function move(k) {
    at = Math.max(0, Math.min(T - 1, k));
    for (const words of copies) words.forEach((word, i) => { word.className = i === at ? "query" : ""; });
    now.replaceChildren(`token ${at} `, el("b", {}, d.tokens[at]), ": ",
      d.scores.map((s) => `${s.name} ${s.signed && s.values[at] > 0 ? "+" : ""}${minus(String(s.values[at]))}`).join(" · "));
  }
  const panels = d.scores.map((s) => {
    const text = el("div", {class: "text"});
    copies.push(d.tokens.map((token, k) => {
      const shade = s.shade[k], colour = d.colours[shade < 0 ? 1 : 0];
      const word = el("span", {title: `token ${k}: ${minus(String(s.values[k]))}`, style: `background:color-mix(in srgb, ${colour} ${Math.abs(shade)}%, var(--paper))`}, token);
      word.addEventListener("pointerenter", () => move(k));
      text.append(word);
      return word;
    }));
    return el("div", {style: "flex:1 1 240px;min-width:200px"}, el("p", {}, el("b", {}, s.name), `: up to ${s.scale}`), text);
  });
  const row = el("div", {class: "row", tabindex: 0, role: "application", "aria-label": `${d.title}: arrow keys move over the tokens`}, ...panels);
  row.addEventListener("focus", () => move(at));
  onKeys(row, ["ArrowLeft", "ArrowRight", "Home", "End"], (key) =>
    move({ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: T - 1}[key]));
  const key = (colour, text) => [el("span", {style: `display:inline-block;width:1em;height:1em;border-radius:3px;vertical-align:-.15em;background:${colour}`}), ` ${text} `];
  const signed = d.scores.some((s) => s.signed);
  const legend = el("p", {class: "soft"}, ...key(d.colours[0], signed ? "for it" : "much"), ...(signed ? key(d.colours[1], "against it") : []), "· every text has a scale of its own");
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), legend, now, row);
}
