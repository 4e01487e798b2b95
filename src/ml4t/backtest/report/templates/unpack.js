"use strict";
// Data and library of the page, as `pack.py` packed them.

function bytesOf(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let k = 0; k < letters.length; k++) bytes[k] = letters.charCodeAt(k);
  return bytes;
}

async function unzipped(id) {
  const packed = bytesOf(document.getElementById(id).textContent.trim());
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const KINDS = { i4: Int32Array, f4: Float32Array, f8: Float64Array, dt: Float64Array };

function typedArray({ dtype, bdata }) {
  const found = new KINDS[dtype](bytesOf(bdata).buffer);
  // Times are kept as the differences from each to the next.
  if (dtype === "dt") for (let k = 1; k < found.length; k++) found[k] += found[k - 1];
  return found;
}

// Puts the arrays in the place of the references to them.
function resolved(value, arrays) {
  if (Array.isArray(value)) return value.map((part) => resolved(part, arrays));
  if (value === null || typeof value !== "object") return value;
  if ("$" in value) return arrays[value.$];
  return Object.fromEntries(Object.entries(value).map(([k, part]) => [k, resolved(part, arrays)]));
}

async function unpacked() {
  const { arrays, ...content } = JSON.parse(await unzipped("payload"));
  return resolved(content, arrays.map(typedArray));
}

// By a script element, and not by eval, which the page forbids itself.
async function loadPlotly() {
  const script = document.createElement("script");
  script.textContent = await unzipped("plotly");
  document.head.append(script);
}
