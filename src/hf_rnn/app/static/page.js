// Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
// The page: ask the model while the user types, and show what it answers.

import { drawBars, drawCurve, drawTags, drawWords, element, onColoursChanged, percent } from "./views.js";

// Words after which the answer is drawn, and words or runs of words that are left out one by one.
const PLACES = 32;
const PARTS = 64;
// Milliseconds without a keystroke before the model is asked, and before its slower views are drawn.
const PAUSE = 40;
const IDLE = 250;
// Words are coloured without being asked for if that takes less than this.
const QUICK = 700;
// Texts of more characters have no curve and no coloured words.
const LONG = 20000;

const at = (id) => document.getElementById(id);
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let number = 0;
let model = null;
let isWhole = false;
// The last answer, with its text.
let current = null;
let timers = [];

function ask(kind, more = {}) {
  number += 1;
  worker.postMessage({ kind, number, ...more });
  return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
}

worker.onmessage = ({ data }) => {
  if (data.kind === "progress") {
    at("loading").value = data.share;
    return;
  }
  const asked = waiting.get(data.number);
  waiting.delete(data.number);
  // Nobody waits for a dropped request: a newer one is under way.
  if (data.dropped) return;
  if (data.error === undefined) asked?.resolve({ ...data.result, ms: data.ms, list: data.result });
  else asked?.reject(new Error(data.error));
};
worker.onerror = (event) => {
  event.preventDefault();
  fail(
    `The page cannot start its worker (${event.message || "a file of the page is missing"}): serve the whole folder ` +
      "with a web server, such as python -m http.server, and use a browser from 2023 or later.",
  );
};

function fail(message) {
  at("error").textContent = message;
  at("error").hidden = false;
  at("progress").hidden = true;
  if (model !== null) return;
  at("title").textContent = "The model cannot run here";
  at("ask").hidden = true;
}

async function start() {
  const started = performance.now();
  model = await ask("load");
  const { about, record } = model;
  document.title = about.title;
  at("title").textContent = about.title;
  at("about").textContent = about.description;
  at("progress").hidden = true;
  at("pair-field").hidden = !record.reads_pairs;
  if (record.reads_pairs) document.querySelector("label[for=text]").textContent = "First text";
  if (model.differing.length) {
    at("warning").textContent =
      "This browser splits some texts into other tokens than the model was trained with, such as " +
      `“${model.differing[0]}”. Its answers to such texts may differ.`;
    at("warning").hidden = false;
  }
  showExamples(about.examples ?? []);
  model.loaded = performance.now() - started;
  await update();
}

function showExamples(examples) {
  for (const example of examples) {
    const shown = model.record.reads_pairs ? [example.text, example.text_pair ?? ""] : [example.text];
    const lines = shown.map((text) => element("span", { dir: "auto" }, text));
    const button = element("button", { type: "button", title: shown.join("\n") }, ...lines);
    button.addEventListener("click", () => {
      at("text").value = example.text;
      at("pair").value = example.text_pair ?? "";
      update();
    });
    at("examples").append(button);
  }
  at("examples").hidden = !examples.length;
  if (examples.length && !at("text").value) {
    at("text").value = examples[0].text;
    at("pair").value = examples[0].text_pair ?? "";
  }
}

const texts = () => (model.record.reads_pairs ? [at("text").value, at("pair").value] : [at("text").value]);

async function update() {
  if (!model) return;
  timers.forEach(clearTimeout);
  const asked = texts();
  if (!asked.some((text) => text.trim())) {
    current = null;
    for (const id of ["answer", "curve", "words", "tags"]) at(id).hidden = true;
    at("cost").textContent = "";
    return;
  }
  try {
    const answer = await ask("answer", { text: asked[0], pair: asked[1] ?? null });
    current = { ...answer, texts: asked };
    at("error").hidden = true;
    show();
  } catch (error) {
    fail(error.message);
  }
}

function show() {
  const { record } = model;
  if (model.isTagger) {
    showTags();
  } else {
    showAnswer();
    const isShort = current.texts.join("").length <= LONG;
    at("curve").hidden = record.reads_pairs || !isShort || at("curve").hidden;
    at("words").hidden = !isShort || !current.tokens;
    // A request for an earlier text may have been dropped, and then never ends.
    at("colour").hidden = at("colour").disabled = false;
    at("coloured").hidden = at("legend").hidden = true;
    if (isShort && current.tokens) timers.push(setTimeout(showMore, IDLE));
  }
  const cost = [`${current.tokens.toLocaleString("en")} tokens in ${current.ms.toFixed(0)} ms`];
  const { bytes } = model.about;
  const size = bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  cost.push(`model of ${size}, loaded in ${(model.loaded / 1000).toFixed(1)} s`);
  at("cost").textContent = cost.join(" · ");
}

function showAnswer() {
  const { record, problem } = model;
  const { scores, chosen } = current;
  at("answer").hidden = false;
  if (problem === "regression") {
    at("said").replaceChildren(scores[0].toPrecision(5));
    at("bars").replaceChildren();
  } else {
    const names = chosen.map((i) => record.labels[i]).join(", ");
    const sure = chosen.length === 1 ? element("small", {}, percent(scores[chosen[0]])) : "";
    at("said").replaceChildren(names || "None of the labels", " ", sure);
    drawBars(at("bars"), record.labels, scores, chosen, thresholdOf, isWhole, () => {
      isWhole = true;
      showAnswer();
    });
  }
  const isCut = record.max_length !== null && current.tokens === record.max_length;
  at("note").textContent = isCut ? `The model reads ${record.max_length} tokens of a text at most.` : "";
  at("note").hidden = !isCut;
}

function thresholdOf(label) {
  if (model.problem === "multi_label_classification") return model.record.thresholds?.[label] ?? 0.5;
  return model.record.thresholds?.[label] ?? null;
}

// Draw the views that need many answers.
async function showMore() {
  const of = current;
  const isCurrent = () => of === current;
  try {
    let { ms } = of;
    if (!model.record.reads_pairs) {
      const read = await ask("curve", { text: of.texts[0], most: PLACES });
      if (!isCurrent()) return;
      of.points = read.list;
      at("curve").hidden = !of.points.length;
      showCurve();
      // On average, half of the text was read. This estimate is better than one answer, which may be the first.
      ms = (2 * read.ms) / Math.max(1, of.points.length);
    }
    const count = Math.min(PARTS, of.texts.join(" ").split(/\s+/u).length);
    if (isCurrent() && ms * count < QUICK) await showWords();
  } catch (error) {
    if (isCurrent()) fail(error.message);
  }
}

function showCurve() {
  const { points } = current;
  if (!points?.length) return;
  const isValue = model.problem === "regression";
  at("point").textContent = "The answer after each word.";
  drawCurve(at("drawn"), points, model.record.labels, isValue, (n) => {
    const { word, scores, chosen } = points[n];
    const said = isValue
      ? scores[0].toPrecision(4)
      : chosen.map((i) => `${model.record.labels[i]} ${percent(scores[i])}`).join(", ") || "none of the labels";
    at("point").textContent = `After “${word}”: ${said}`;
  });
}

async function showWords() {
  const of = current;
  at("colour").disabled = true;
  const { scores, chosen, texts: asked } = of;
  const label = chosen.length === 1 ? chosen[0] : scores.indexOf(Math.max(...scores));
  try {
    const { list: parts } = await ask("words", { texts: asked, label, most: PARTS });
    if (of !== current) return;
    drawWords(at("coloured"), asked, parts);
    const name = model.problem === "regression" ? "a higher value" : model.record.labels[label];
    at("legend").replaceChildren(
      "Left out one by one, words speak ",
      element("span", { class: "key", style: "background: rgb(var(--for) / .4)" }, `for ${name}`),
      " or ",
      element("span", { class: "key", style: "background: rgb(var(--against) / .4)" }, "against it"),
      ".",
    );
    at("coloured").hidden = at("legend").hidden = false;
    at("colour").hidden = true;
  } finally {
    at("colour").disabled = false;
  }
}

function showTags() {
  const kindOf = (label) => (model.record.bio ? label.slice(2) : label);
  const kinds = [...new Set(model.record.labels.filter((label) => label !== "O").map(kindOf))];
  const { entities } = current;
  at("tags").hidden = false;
  at("tags-said").textContent = entities.length === 1 ? "1 name was found." : `${entities.length} names were found.`;
  if (!model.record.bio) at("tags-said").textContent = `${entities.length} words were tagged.`;
  drawTags(at("tagged"), at("kinds"), current.texts[0], entities, kinds);
}

for (const id of ["text", "pair"]) {
  at(id).addEventListener("input", () => {
    timers.forEach(clearTimeout);
    timers = [setTimeout(update, PAUSE)];
  });
}
at("colour").addEventListener("click", () => showWords().catch((error) => fail(error.message)));
onColoursChanged(() => {
  if (current) show();
});
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width && current) showCurve();
  width = innerWidth;
});
start().catch((error) => fail(error.message));
