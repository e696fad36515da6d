// What every live view shares. Text from Python enters the page only as text nodes and attributes,
// never as markup, so a token such as "<b>" stays a token.

// bytes of a base64 string
function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) out[k] = raw.charCodeAt(k);
  return out;
}

// float32 numbers of a base64 string
function floats(text) {
  return new Float32Array(bytes(text).buffer);
}

// Numbers of a text with a true minus sign, as in "1e−7".
const minus = (text) => text.replaceAll("-", "−");

// A number to read, with a true minus sign: -0.5 -> "−0.50"; masked scores are "−∞".
function numeral(x, digits = 2) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x < 0 ? "−∞" : "∞";
  const text = Math.abs(x).toFixed(digits);
  return x < 0 && Number(text) !== 0 ? `−${text}` : text;
}

// el("button", {class: "head"}, "text", otherElement); a name such as "svg:path" makes an SVG element
function el(name, attributes, ...children) {
  const node = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  node.append(...children);
  return node;
}

// Call back with the key's name when one of the named keys is pressed inside an element.
function onKeys(element, names, action) {
  element.addEventListener("keydown", (event) => {
    if (!names.includes(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    action(event.key);
  });
}

// Put the live view in place of the picture, in every element of this view that is still only a picture.
function start(hash, data, draw) {
  for (const root of document.querySelectorAll(`[data-view="${hash}"]:not([data-ready])`)) {
    try {
      root.querySelector("img").replaceWith(draw(data));
      root.setAttribute("data-ready", "1");
    } catch (error) {
      // the picture stays
      root.setAttribute("data-ready", "failed");
      console.error(error);
    }
  }
}
