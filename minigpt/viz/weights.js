// Attention weights of a page: w = at(layer, head, query, key) in steps of 1/255.
// They are stored row by row; of a causal map only the keys 0..i of each query i.
function readWeights(d) {
  const [L, H, T] = d.shape, keyTokens = d.keys || d.tokens, K = keyTokens.length;
  const weights = bytes(d.weights), rgb = bytes(d.colours);
  const perHead = d.causal ? T * (T + 1) / 2 : T * K;
  const [paddedQuery, paddedKey] = d.padded.map((list) => new Set(list));
  const masked = (i, j) => (d.causal && j > i) || paddedQuery.has(i) || paddedKey.has(j);
  const at = (l, h, i, j) => weights[(l * H + h) * perHead + (d.causal ? i * (i + 1) / 2 + j : i * K + j)];
  const why = (i, j) => paddedQuery.has(i) || paddedKey.has(j) ? "masked, padding" : "masked, a later token";
  const colour = (w) => `rgb(${rgb[3 * w]},${rgb[3 * w + 1]},${rgb[3 * w + 2]})`;
  const grey = d.causal || paddedQuery.size || paddedKey.size ? "; grey: masked" : "";
  const name = (l, h) => `layer ${d.layers[l]}, head ${h}`;
  const nats = (l, h) => d.entropy[l][h] === null ? "no live rows" : `${d.entropy[l][h].toFixed(2)} nats`;
  return {L, H, T, K, keyTokens, rgb, masked, at, why, colour, name, nats, grey, paddedQuery, paddedKey};
}
