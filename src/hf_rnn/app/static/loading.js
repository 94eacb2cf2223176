// Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
// Fetch the files of the page, and check that they are complete.

// A module with one SIMD instruction. A browser without SIMD finds it invalid.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

// Throw an error if the browser cannot run the model.
export function checkBrowser() {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) {
    throw new Error(
      "This browser has no WebAssembly SIMD, which the model needs: use a version of Firefox, Chrome, Edge or Safari " +
        "from 2023 or later.",
    );
  }
}

export async function fetchJson(url) {
  const bytes = await fetchChecked(url);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Error(`${nameOf(url)} is not valid JSON: write the page again with hf-rnn demo --static.`);
  }
}

// Return the bytes of a file. `sha256` is compared where the browser can compute it, over https and on localhost.
export async function fetchChecked(url, sha256 = null, told = null, size = 0) {
  const bytes = await fetchBytes(url, told, size);
  if (sha256 && globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== sha256) {
      throw new Error(
        `${nameOf(url)} is damaged: its SHA-256 begins with ${found.slice(0, 12)}, and should begin with ` +
          `${sha256.slice(0, 12)}. Copy the file again, or write the page again with hf-rnn demo --static.`,
      );
    }
  }
  return bytes;
}

async function fetchBytes(url, told, size) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${nameOf(url)} cannot be fetched: the server does not answer. Load the page again.`);
  }
  if (!response.ok) {
    throw new Error(
      `${nameOf(url)} is missing (the server says ${response.status}): copy the whole folder that hf-rnn demo ` +
        "--static wrote.",
    );
  }
  if (!told || !response.body) return new Uint8Array(await response.arrayBuffer());
  const parts = [];
  let count = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    count += value.length;
    told(Math.min(1, count / size));
  }
  const bytes = new Uint8Array(count);
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes;
}

// Return the path of a file below the page.
function nameOf(url) {
  return url.pathname.slice(new URL(".", import.meta.url).pathname.length);
}
