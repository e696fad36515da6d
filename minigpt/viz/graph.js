// The box pointed at lights up with all it was made of and all it went into.
function draw(d) {
  const {plot, boxes, lines} = boxesAndArrows(d, `${d.title}: arrow keys walk along the arrows`, point);
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
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, d.note), boxLegend(d), now, el("div", {class: "wide", style: "max-height:85vh"}, plot));
}
