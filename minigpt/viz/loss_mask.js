// Tokens of a dialogue: those that carry loss blue and underlined, special tokens framed.
// The token under the pointer is read out.
function draw(d) {
  const now = el("p", {class: "now"}, `${d.summary}: blue, underlined`);
  const paint = (learned, special) =>
    "white-space:pre;font-family:ui-monospace,monospace;margin:0;padding:2px 1px;" +
    (learned ? `background:${d.colour};color:#fff;` : "") +
    (special ? "outline:1px solid var(--soft);outline-offset:-1px;" : "");
  const rows = d.lines.map((line) => el("p", {class: "text"}, ...line.map(([text, learned, special, i]) => {
    const token = el(learned ? "u" : "span", {style: paint(learned, special)}, text);
    token.addEventListener("pointermove", () => {
      now.textContent = `token ${i}: ${text} ${learned ? "carries loss" : "is only read"}`;
    });
    return token;
  })));
  return el("div", {}, el("h4", {}, d.title), now, ...rows);
}
