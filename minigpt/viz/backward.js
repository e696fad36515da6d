// One step at a time: the op whose turn it is, what comes in, its rule, what goes out, and where that is added up.
function draw(d) {
  const N = d.steps.length;
  // clicking on a box goes to its first turn
  const {plot, boxes, lines} = boxesAndArrows(d, `${d.title}: left and right go from step to step`, () => {});
  boxes.forEach((group, k) => group.addEventListener("click", () => {
    const turn = d.steps.findIndex((step) => step.box === k);
    if (turn >= 0) scrub.move(turn);
  }));
  const turns = d.boxes.map((_, k) => d.steps.filter((step) => step.box === k).length);
  const now = el("p", {class: "now", "aria-live": "polite"}), panel = el("div", {style: "flex:1 1 36%;min-width:min(100%, 230px)"});
  const frame = el("div", {class: "wide", style: "max-height:70vh;flex:0 1 auto;max-width:max(55%, min(100%, 360px))"}, plot);

  // the lines about gradients after step k; the latest counts
  const gradients = (k) => Object.assign({}, ...d.steps.slice(0, k + 1).map((step) => step.changes));
  const changing = Object.keys(gradients(N - 1)).map(Number);
  function paint(k) {
    const step = d.steps[k], done = d.boxes.map(() => 0), text = gradients(k);
    for (let n = 0; n <= k; n++) done[d.steps[n].box]++;
    const reached = new Set(d.steps.slice(0, k + 1).flatMap((s) => s.inputs.filter((i) => i.gradient).map((i) => i.box)));
    const given = new Set(step.inputs.filter((i) => i.gradient).map((i) => i.box));
    boxes.forEach((group, n) => {
      const rect = group.childNodes[1], {kind} = d.boxes[n], current = n === step.box;
      const share = current ? 30 : turns[n] ? Math.round(45 * done[n] / turns[n]) : reached.has(n) ? 30 : 8;
      rect.style.fill = mixed(kind, share);
      rect.style.stroke = current || given.has(n) ? "var(--mark)" : tones[kind];
      rect.style.strokeWidth = current ? 3.5 : 1.2;
      rect.style.strokeDasharray = given.has(n) && !current ? "4 2" : "none";
      group.dataset.state = current ? "now" : turns[n] && done[n] === turns[n] ? "done" : given.has(n) ? "given" : "";
    });
    for (const n of changing) boxes[n].lastChild.textContent = text[n] ?? "";
    lines.forEach((path, n) => {
      const [a, b] = d.routes[n], lit = b === step.box && given.has(a);
      path.style.color = lit ? "var(--mark)" : "var(--soft)";
      path.firstChild.style.strokeWidth = lit ? 2.4 : 1.2;
    });
    now.replaceChildren(`step ${k + 1} of ${N}: `, el("b", {}, step.text), step.where ? el("span", {class: "soft"}, ` ${step.where}`) : "");
    panel.replaceChildren(el("pre", {style: "white-space:pre-wrap;margin:2px 0 8px;color:var(--ink)"}, step.formula.join("\n")),
      ...step.outputs.map((o) => row("in", `∂loss/∂${o.name}`, o.gradient, "nothing reached it")),
      ...step.inputs.flatMap((i) => handed(i)));
    before.disabled = k === 0;
    next.disabled = k === N - 1;
    // the box whose turn it is stays in sight; the page itself does not move
    const [x, y] = d.boxes[step.box].at;
    frame.scrollTo(x - frame.clientWidth / 2, y - frame.clientHeight / 2);
  }
  function handed(i) {
    if (!i.gradient) return [row("out", `${i.name} ${i.shape}`, null, "wants no gradient")];
    const parts = [row("out", `∂loss/∂${i.name}`, i.gradient)];
    const axes = i.summed.length === 1 ? `axis ${i.summed[0]}` : `axes ${i.summed.join(", ")}`;
    if (i.summed.length) parts.push(el("p", {class: "soft", style: "margin-left:calc(3.4em + 8px)"}, `${i.name} ${i.shape} was repeated: summed over ${axes} of the result`));
    const place = i.leaf ? `${i.name}.grad` : `${i.name}, so far`;
    if (i.leaf || i.before) parts.push(row("", place, i.after, "", i.before ? ["added to ", array(i.before), " gives "] : ["first gradient "]));
    return parts;
  }
  function row(way, name, found, otherwise, words = []) {
    const arrow = {in: "↓ in", out: "↑ out"}[way] ?? "";
    return el("div", {class: "gradient", "data-name": name, style: "display:flex;flex-wrap:wrap;gap:3px 8px;align-items:center;margin:3px 0"},
      el("span", {class: "soft", style: "width:3.4em;white-space:nowrap"}, arrow), el("b", {}, name), ...words, found ? array(found) : otherwise);
  }
  // small arrays as a table, tinted by sign and size; of large ones the line about them
  function array(found) {
    if (!found.rows) return el("span", {}, found.text);
    const largest = Math.max(...found.rows.flat().map((text) => Math.abs(Number(text))).filter(Number.isFinite), 1e-300);
    const cell = (text) => {
      const value = Number(text), share = Number.isFinite(value) ? Math.round(45 * Math.abs(value) / largest) : 0;
      return el("td", {style: `padding:1px 6px;text-align:right;border:1px solid var(--line);background:color-mix(in srgb, ${value < 0 ? "#0072B2" : "#D55E00"} ${share}%, var(--paper));color:var(--ink)`}, text);
    };
    const table = el("table", {title: found.text, style: "white-space:nowrap;border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:12px;margin:0"},
      el("tbody", {}, ...found.rows.map((cells) => el("tr", {style: "background:none"}, ...cells.map(cell)))));
    return el("div", {style: "overflow-x:auto;max-width:100%"}, table);
  }

  const scrub = scrubber(d.steps.map((_, k) => k + 1), `${d.title}: step`, paint);
  const button = (text, label, way) => {
    const b = el("button", {type: "button", class: "toggle", "aria-label": label}, text);
    b.addEventListener("click", () => move(scrub.at() + way));
    return b;
  };
  const before = button("◀ back", "previous step", -1), next = button("next ▶", "next step", 1);
  const move = (k) => scrub.move(Math.max(0, Math.min(N - 1, k)));
  scrub.node.style.flex = "1 1 200px";
  scrub.node.firstChild.style.width = "100%";
  const all = el("div", {}, el("h4", {}, d.title),
    el("p", {class: "soft"}, `${d.note} Framed: the op whose turn it is, dashed: what it hands gradients to, shaded: done. Arrow keys, the slider, or a click on a box.`),
    boxLegend(d), el("div", {class: "controls"}, before, next, scrub.node), now, el("div", {class: "row"}, frame, panel));
  onKeys(all, ["ArrowLeft", "ArrowRight", "Home", "End"], (key) => move({ArrowLeft: scrub.at() - 1, ArrowRight: scrub.at() + 1, Home: 0, End: N - 1}[key]));
  scrub.move(0);
  return all;
}
