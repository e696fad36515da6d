// One head of attention, step by step: every array is computed here from q, k and v, and any number is written out.
function draw(d) {
  const Tq = d.tokens.length, Tk = d.keys.length, D = d.maps.q.size[1], Dv = d.maps.v.size[1];
  const bits = bytes(d.seen), seen = (i, j) => bits[(i * Tk + j) >> 3] >> (7 - (i * Tk + j & 7)) & 1;
  const A = computed(d, seen);
  const C = d.maps.w_o ? d.maps.w_o.size[1] : 0;

  // what stands along the two sides of each array, in the names of the state: i a query, j a key, d a channel of q and
  // k, c one of v, e one of the residual stream
  const sides = {q: "id", k: "jd", v: "jc", largest: "i-", sums: "i-", output: "ic", w_o: "ce", projected: "ie"};
  const side = (name) => sides[name] || "ij";
  const axes = {
    i: {name: "query", labels: d.tokens, numbered: true}, j: {name: "key", labels: d.keys, numbered: true}, "-": {name: "", labels: [""], numbered: false},
    ...Object.fromEntries([["d", D], ["c", Dv], ["e", C]].map(([s, n]) => [s, {name: "channel", labels: Array.from({length: n}, (_, k) => String(k)), numbered: false}])),
  };
  const at = {i: Tq - 1, j: 0, d: 0, c: 0, e: 0};
  while (at.j < Tk - 1 && !seen(at.i, at.j)) at.j++;
  const cell = (name) => A[name][side(name)[1] === "-" ? at.i : at[side(name)[0]] * axes[side(name)[1]].labels.length + at[side(name)[1]]];
  let step = 0, pointed = null, panels = [];

  const plus = (terms) => terms.flatMap((term, k) => k ? [" + ", term] : [term]);
  // a sum of products a_n · b_n in words; of many, the first ones and the rest as one number
  const MOST = 12;
  const sum = (pairs) => {
    const shown = pairs.length > MOST ? pairs.slice(0, MOST - 2) : pairs, rest = pairs.slice(shown.length);
    const terms = shown.map(([a, b]) => b === undefined ? factor(a) : `${factor(a)} · ${factor(b)}`);
    if (rest.length) terms.push(`(${rest.length} more: ${say(rest.reduce((total, [a, b = 1]) => total + a * b, 0))})`);
    return plus(terms).join("");
  };
  const range = (n) => Array.from({length: n}, (_, k) => k);
  const query = () => [`query ${at.i} `, el("b", {}, d.tokens[at.i])], key = () => [`key ${at.j} `, el("b", {}, d.keys[at.j])];
  const pair = () => [...query(), " → ", ...key()];
  const before = () => d.steps.some((s) => s.makes.includes("masked")) ? "masked" : "scores";
  const alive = () => range(Tk).some((j) => seen(at.i, j));

  // For each array that a step makes: words on the cell that is pointed at, and last how its number comes about.
  const how = {
    q: () => ["Q: ", ...query(), `, channel ${at.d}`, ""],
    k: () => ["K: ", ...key(), `, channel ${at.d}`, ""],
    v: () => ["V: ", ...key(), `, channel ${at.c}`, ""],
    products: () => [...pair(), `: row ${at.i} of Q times row ${at.j} of K`, sum(range(D).map((x) => [A.q[at.i * D + x], A.k[at.j * D + x]]))],
    scores: () => [...pair(), "", `${say(cell("products"))} ÷ √${D} = ${say(cell("products"))} ÷ ${say(Math.sqrt(D))}`],
    masked: () => [...pair(), seen(at.i, at.j) ? ": may be seen, stays" : ": may not be seen", ""],
    shifted: () => [...pair(), alive() ? `: the largest of row ${at.i} is ${say(cell("largest"))}` : ": nothing in this row may be seen, so there is no largest number", `${say(cell(before()))}${alive() ? ` − ${factor(cell("largest"))}` : ""}`],
    exps: () => [...pair(), "", `exp(${say(cell("shifted"))})`],
    weights: () => alive() ? [...pair(), `: the sum of row ${at.i} is ${sum(range(Tk).filter((j) => seen(at.i, j)).map((j) => [A.exps[at.i * Tk + j]]))} = ${say(cell("sums"))}`, `${say(cell("exps"))} ÷ ${say(cell("sums"))}`]
      : [...pair(), ": nothing in this row may be seen", ""],
    output: () => [...query(), `, channel ${at.c}: ${alive() ? `row ${at.i} of the weights times column ${at.c} of V` : "nothing may be seen"}`, alive() ? sum(range(Tk).filter((j) => seen(at.i, j)).map((j) => [A.weights[at.i * Tk + j], A.v[j * Dv + at.c]])) : ""],
    projected: () => [...query(), `, channel ${at.e}: row ${at.i} of the output times column ${at.e} of W_O`, sum(range(Dv).map((x) => [A.output[at.i * Dv + x], A.w_o[x * C + at.e]]))],
  };

  const now = el("p", {class: "now", "aria-live": "polite", style: "min-height:3.6em"}), path = el("p", {class: "soft", style: "font-variant-numeric:tabular-nums"});
  function tell() {
    const {makes} = d.steps[step], made = makes.includes(pointed) ? pointed : makes[0], [...words] = how[made](), sumText = words.pop();
    now.replaceChildren(...words, sumText || step === 0 ? ": " : " = ", ...(sumText ? [el("br"), `${sumText} = `] : []), el("b", {}, say(cell(made))));
    const pairs = d.steps.map((s, k) => [s, k]).filter(([s]) => side(s.makes[0]) === "ij");
    path.replaceChildren(...pair(), ": ", ...pairs.flatMap(([s, k], n) => [n ? "  →  " : "", `${s.name} `, el(k === step ? "b" : "span", {}, say(cell(s.makes[0])))]));
    for (const {name, map} of panels) {
      const [r, c] = side(name);
      if (step === 0) map.mark(...(name === made ? [at[r], at[c]] : []));
      else if (name === made || c === "-") map.mark(at[r], c === "-" ? 0 : at[c]);
      else map.mark(...framed(name, made, r, c));
    }
  }
  // the part of an input that makes the cell: a row, a column, or one cell
  function framed(name, made, r, c) {
    if (["products", "output", "projected"].includes(made)) return side(made).includes(r) ? [at[r], null] : [null, at[c]];
    return made === "shifted" || made === "weights" ? [at[r], null] : [at[r], at[c]];
  }

  // `share` is the width in pixels that a map may take if all maps of the step are to stand side by side; numbers are
  // written where they fit, beside a map without them also not in the column of its row sums
  function panel(name, share, fits) {
    const {size} = d.maps[name], [R, K] = size, scale = {...d.scales[name], colours: d.scales[name].diverging ? d.colours.differences : d.colours.even};
    const columns = side(name)[1] === "-" ? {name: "", labels: [name === "sums" ? "sum" : "max"], numbered: false} : axes[side(name)[1]];
    const written = fits && R * K <= 200, shade = shader(scale);
    const map = heatMap({name: d.maps[name].name, rows: axes[side(name)[0]], columns, values: A[name], written, cell: written ? [42, 22] : [limit(Math.floor(share / K), 2, 42), limit(Math.floor(420 / R), 7, 22)]}, shade, (r, c) => {
      at[side(name)[0]] = r;
      if (side(name)[1] !== "-") at[side(name)[1]] = c;
      pointed = name;
      tell();
    }, d.title);
    return {name, map, scale, shade};
  }

  function go(k) {
    step = k;
    const s = d.steps[step];
    const names = [...s.parts, ...s.makes], narrow = names.filter((name) => side(name)[1] === "-").length;
    const share = (1130 - 140 * narrow) / (names.length - narrow) - 95;
    panels = names.map((name) => panel(name, share, !narrow || Tq * Tk <= 200));
    title.replaceChildren(`${step + 1} of ${d.steps.length}: `, el("b", {}, s.name), el("span", {class: "soft", style: "margin-left:1em"}, s.shapes));
    says.textContent = s.says;
    formula.replaceChildren(...formulaOf(d.steps, step));
    // the result comes last and has the colour bar
    stage.replaceChildren(...panels.map(({name, map, scale, shade}) => el("div", {style: "max-width:100%"}, el("p", {}, el("b", {}, d.maps[name].name)),
      el("div", {class: "wide", style: "max-height:85vh"}, map.node), ...(s.makes.includes(name) ? [colourBar(scale, shade)] : []))));
    tell();
  }
  const button = (text, name, by) => {
    const node = el("button", {class: "toggle", type: "button", "aria-label": name}, text);
    node.addEventListener("click", () => scrub.move(limit(step + by, 0, d.steps.length - 1)));
    return node;
  };
  const title = el("span", {}), says = el("p", {}), formula = el("p", {style: "font-size:17px;margin:6px 0", role: "img", "aria-label": "softmax of Q times K transposed over the root of d, times V"}), stage = el("div", {class: "row"});
  const back = button("◀", "step before", -1), on = button("▶", "next step", 1);
  const scrub = scrubber(d.steps.map((s) => s.name), `${d.title}: step`, go);
  const controls = el("div", {class: "controls"}, back, scrub.node, on, title);
  onKeys(controls, ["ArrowLeft", "ArrowRight", "Home", "End"], (name) =>
    scrub.move(limit({ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: d.steps.length - 1}[name], 0, d.steps.length - 1)));
  scrub.node.style.flex = "0 1 300px";
  scrub.move(0);
  return el("div", {}, el("h4", {}, d.title), el("p", {class: "soft"}, `${d.note} The slider goes from step to step; point at a cell, or tab to a map and use the arrow keys, to see how its number comes about.`),
    formula, controls, says, now, path, stage);
}

// The formula, the part of the step bold, what is still to come soft.
function formulaOf(steps, step) {
  const number = (name) => steps.findIndex((s) => s.name === name), first = number("tokens → q, k, v");
  const pieces = [["exp(", "exp"], [" ", ""], ["Q Kᵀ", "QKᵀ"], [" / √d", "÷ √d"], [" + mask", "mask"], [" − max", "− row maximum"], [" )", "exp"], [" / row sum", "÷ row sum"], [" · ", "· V"], ["V", "· V"], [" · W_O", "· W_O"]];
  return pieces.filter(([, name]) => !name || number(name) >= 0).map(([text, name]) => {
    const current = name && (number(name) === step || step === first && (text === "V" || text === "Q Kᵀ"));
    return el("span", {style: current ? "color:var(--mark);font-weight:700" : name && number(name) > step ? "color:var(--soft);opacity:.55" : ""}, text);
  });
}

// All arrays by name, in float64 as in Python. Only what may be seen counts; a row without such keys gets zeros.
function computed(d, seen) {
  const A = {};
  for (const name in d.inputs) A[name] = reals(d.inputs[name]);
  const Tq = d.tokens.length, Tk = d.keys.length, D = d.maps.q.size[1], Dv = d.maps.v.size[1];
  const matmul = (a, b, R, N, K, bAt) => {
    const out = new Float64Array(R * K);
    for (let r = 0; r < R; r++) for (let c = 0; c < K; c++) {
      let total = 0;
      for (let n = 0; n < N; n++) total += a[r * N + n] * b[bAt(n, c)];
      out[r * K + c] = total;
    }
    return out;
  };
  const rows = (values, of) => Float64Array.from({length: Tq}, (_, i) => of(values.subarray(i * Tk, (i + 1) * Tk)));
  A.products = matmul(A.q, A.k, Tq, D, Tk, (n, c) => c * D + n);
  A.scores = A.products.map((x) => x / Math.sqrt(D));
  A.masked = A.scores.map((x, n) => seen(Math.floor(n / Tk), n % Tk) ? x : -Infinity);
  A.largest = rows(A.masked, (row) => row.reduce((best, x) => Math.max(best, x), -Infinity));
  A.shifted = A.masked.map((x, n) => x === -Infinity ? x : x - A.largest[Math.floor(n / Tk)]);
  A.exps = A.shifted.map(Math.exp);
  A.sums = rows(A.exps, (row) => row.reduce((total, x) => total + x, 0));
  A.weights = A.exps.map((x, n) => x && x / A.sums[Math.floor(n / Tk)]);
  A.output = matmul(A.weights, A.v, Tq, Tk, Dv, (n, c) => n * Dv + c);
  if (A.w_o) A.projected = matmul(A.output, A.w_o, Tq, Dv, d.maps.w_o.size[1], (n, c) => n * d.maps.w_o.size[1] + c);
  return A;
}
