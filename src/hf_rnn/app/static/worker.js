// Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
// Run the model beside the page, so that typing stays smooth.

import { fetchJson } from "./loading.js";

let engine = null;
// The number of the newest request of each kind.
const newest = new Map();
const DROPPED = Symbol("dropped");

async function load() {
  let Engine;
  try {
    ({ Engine } = await import("./engine.js"));
  } catch (error) {
    throw new Error(
      `The model cannot start, because a file of the page is missing or damaged (${error.message}): copy the whole ` +
        "folder that hf-rnn demo --static wrote.",
    );
  }
  const about = await fetchJson(new URL("page.json", import.meta.url));
  engine = await Engine.load((share) => postMessage({ kind: "progress", share }));
  const { record } = engine;
  const idsOf = (text) => engine.tokens.encode(text).map((token) => token.id);
  const differing = about.probes.filter(({ text, ids }) => String(idsOf(text)) !== String(ids));
  const { isTagger, problem } = engine;
  return { about, record, isTagger, problem, differing: differing.map(({ text }) => text) };
}

const KINDS = {
  load,
  answer: ({ text, pair }) => engine.answer(text, pair),
  curve: ({ text, most }, between) => engine.curve(text, most, between),
  words: ({ texts, label, most }, between) => engine.occlusion(texts, label, most, between),
};

// A request is not wanted any more after a newer one of its kind, or after a newer text.
const isOld = ({ kind, number }) => [kind, "answer"].some((other) => (newest.get(other) ?? 0) > number);

onmessage = async ({ data }) => {
  newest.set(data.kind, data.number);
  // Let waiting messages arrive, and stop if one of them replaces this request.
  const between = async () => {
    await new Promise((resolve) => setTimeout(resolve));
    if (isOld(data)) throw DROPPED;
  };
  const reply = { kind: data.kind, number: data.number };
  try {
    await between();
    const started = performance.now();
    const result = await KINDS[data.kind](data, between);
    postMessage({ ...reply, result, ms: performance.now() - started });
  } catch (error) {
    postMessage(error === DROPPED ? { ...reply, dropped: true } : { ...reply, error: String(error?.message ?? error) });
  }
};
