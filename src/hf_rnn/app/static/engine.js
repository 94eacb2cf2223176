// Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
// Answers of an exported model: the same labels, scores and entities as in Python.

import * as ort from "./vendor/onnxruntime-web/ort.js";
import { checkBrowser, fetchChecked, fetchJson } from "./loading.js";
import { asText, SPACE, Tokens } from "./tokens.js";

const MODEL = new URL("model/", import.meta.url);
const RECORD = "onnx/hf_rnn.json";
// Forms of the export record that this page can read.
const FORMAT = 1;
// The first of these that the record has is loaded.
const GRAPHS = ["model_quantized.onnx", "model.onnx"];
// Tokens in a batch, padding included.
const BATCH = 4096;
const SINGLE = "single_label_classification";
const MULTI = "multi_label_classification";
const REGRESSION = "regression";
// Threshold of a label of a multi-label model without a threshold of its own.
const DEFAULT = 0.5;
// Scripts without spaces between words: each of their tokens counts as a word.
const UNPARTED =
  /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]/u;
const IN_WORDS = /[\p{L}\p{M}\p{N}'’_]/u;
const IS_SPACE = new RegExp(`[${SPACE}]`, "u");
const BETWEEN_SPACES = new RegExp(`[^${SPACE}]+`, "gu");
const SEEN = new RegExp(`[^${SPACE}\\p{Cc}\\p{Cf}]`, "u");

export class Engine {
  constructor(record, tokens, session) {
    this.record = record;
    this.tokens = tokens;
    this.session = session;
    this.labels = record.labels;
    this.isTagger = record.task === "token_classification";
    this.problem = record.problem_type ?? (this.labels.length === 1 ? REGRESSION : SINGLE);
    if (this.isTagger) this.problem = null;
  }

  // Load the model beside this page. `told` is called with the share of the bytes that are there.
  static async load(told = () => {}) {
    checkBrowser();
    const record = await fetchJson(new URL(RECORD, MODEL));
    if (record.format !== FORMAT) {
      throw new Error(`${RECORD} has the format ${record.format}, and this page reads ${FORMAT}: write the page again with hf-rnn demo --static.`);
    }
    const name = GRAPHS.find((graph) => graph in record.files);
    const graph = record.files[name];
    const written = record.tokenizer;
    const library = new URL("vendor/onnxruntime-web/ort-wasm-simd-threaded.wasm", import.meta.url);
    const [bytes, file, code] = await Promise.all([
      fetchChecked(new URL(`onnx/${name}`, MODEL), graph.sha256, told, graph.bytes),
      fetchChecked(new URL(written.file, MODEL), written.sha256),
      fetchChecked(library),
    ]);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = code;
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    return new Engine(record, new Tokens(JSON.parse(new TextDecoder().decode(file))), session);
  }

  // Return the tokens that the model reads of a text or a pair, truncated as in training.
  read(text, pair = null) {
    const tokens = this.tokens.encode(text, this.record.reads_pairs ? (pair ?? "") : null);
    const { max_length: most, truncation } = this.record;
    if (most === null || tokens.length <= most) return tokens;
    return this.record.reads_pairs ? cutPair(tokens, most, truncation) : cut(tokens, most, truncation);
  }

  // Return the logits of rows of tokens: one array of numbers a row; for a tagger, one a token. A row may have a set
  // `out` of places of tokens to leave out. `between` is awaited after each batch, and may throw to end the work.
  async logits(rows, between = async () => {}) {
    const found = [];
    const order = rows.map((_, i) => i).sort((one, other) => rows[one].ids.length - rows[other].ids.length);
    for (let at = 0; at < order.length; ) {
      const batch = [order[at++]];
      while (at < order.length && rows[order[at]].ids.length * (batch.length + 1) <= BATCH) batch.push(order[at++]);
      const { data, dims } = await this.run(batch.map((i) => rows[i]));
      const C = dims.at(-1);
      batch.forEach((row, b) => {
        const width = this.isTagger ? dims[1] : 1;
        const all = Array.from({ length: this.isTagger ? rows[row].ids.length : 1 }, (_, t) =>
          data.subarray((b * width + t) * C, (b * width + t + 1) * C),
        );
        found[row] = this.isTagger ? all : all[0];
      });
      if (at < order.length) await between();
    }
    return found;
  }

  async run(rows) {
    const [B, T] = [rows.length, Math.max(1, ...rows.map((row) => row.ids.length))];
    const ids = new BigInt64Array(B * T).fill(BigInt(this.record.tokenizer.pad_token_id));
    const mask = new BigInt64Array(B * T);
    rows.forEach((row, b) =>
      row.ids.forEach((id, t) => {
        ids[b * T + t] = BigInt(id);
        mask[b * T + t] = row.out?.has(t) ? 0n : 1n;
      }),
    );
    const inputs = {
      input_ids: new ort.Tensor("int64", ids, [B, T]),
      attention_mask: new ort.Tensor("int64", mask, [B, T]),
    };
    const { logits } = await this.session.run(inputs);
    return logits;
  }

  // Return the answer to a text or a pair: {scores, chosen}, or for a tagger {entities}.
  async answer(text, pair = null) {
    if (this.isTagger) return this.tagged(text);
    const tokens = this.read(text, pair);
    const [logits] = await this.logits([{ ids: tokens.map((token) => token.id) }]);
    return { ...this.decided(logits), tokens: tokens.length };
  }

  // Return the scores of logits, and the indices of the labels that follow from them.
  decided(logits) {
    const values = Array.from(logits);
    if (values.some((value) => !Number.isFinite(value))) {
      throw new Error("The answer of the model is not a number: its file is damaged. Export the model again.");
    }
    if (this.problem === REGRESSION) return { scores: values, chosen: [0] };
    const scores = this.problem === MULTI ? values.map((value) => 1 / (1 + Math.exp(-value))) : softmax(values);
    return { scores, chosen: this.decide(scores) };
  }

  decide(scores) {
    const thresholds = this.record.thresholds ?? {};
    if (this.problem === MULTI) {
      return scores.flatMap((score, i) => (score > (thresholds[this.labels[i]] ?? DEFAULT) ? [i] : []));
    }
    const [name] = Object.keys(thresholds);
    if (name === undefined) return [largest(scores)];
    const place = this.labels.indexOf(name);
    return [scores[place] > thresholds[name] ? place : 1 - place];
  }

  // Return the answers after at most `most` words, evenly spaced: {word, end, scores}.
  async curve(text, most, between) {
    const tokens = this.read(text);
    const words = wordsOf(asText(text), tokens);
    if (!words.length) return [];
    const ids = tokens.map((token) => token.id);
    const tail = ids.slice(Math.max(...words.at(-1).tokens) + 1);
    const chosen = words.length > most ? evenly(words.length, most).map((n) => words[n]) : words;
    const rows = chosen.map((word) => ({ ids: [...ids.slice(0, Math.max(...word.tokens) + 1), ...tail] }));
    const logits = await this.logits(rows, between);
    return chosen.map((word, n) => ({ word: word.word, end: word.end, ...this.decided(logits[n]) }));
  }

  // Return parts of the texts with the change of the label's logit when each of them is left out. Parts are words, or
  // runs of words if there are more than `most`.
  async occlusion(texts, label, most, between) {
    const tokens = this.read(...texts);
    const parts = texts.flatMap((text, which) =>
      wordsOf(asText(text ?? ""), tokens, which).map((word) => ({ ...word, which })),
    );
    const width = Math.max(1, Math.ceil(parts.length / most));
    const runs = [];
    for (const part of parts) {
      const last = runs.at(-1);
      if (last && last.which === part.which && last.count < width) {
        Object.assign(last, { end: part.end, count: last.count + 1, tokens: [...last.tokens, ...part.tokens] });
      } else {
        runs.push({ start: part.start, end: part.end, which: part.which, count: 1, tokens: part.tokens });
      }
    }
    const ids = tokens.map((token) => token.id);
    const rows = [{ ids }, ...runs.map((run) => ({ ids, out: new Set(run.tokens) }))];
    const [whole, ...without] = (await this.logits(rows, between)).map((logits) => this.margin(logits, label));
    return runs.map(({ start, end, which }, n) => ({ start, end, which, score: whole - without[n] }));
  }

  // Return the logit of a label, minus the mean of the others if labels exclude each other.
  margin(logits, label) {
    if (this.problem !== SINGLE || logits.length < 2) return logits[label];
    const sum = logits.reduce((total, value) => total + value, 0);
    return logits[label] - (sum - logits[label]) / (logits.length - 1);
  }

  async tagged(text) {
    const { spaced, places } = evenlySpaced(asText(text));
    const tokens = this.tokens.encode(spaced);
    const [logits] = await this.logits([{ ids: tokens.map((token) => token.id) }]);
    const words = new Map();
    tokens.forEach((token, place) => {
      if (token.word === null) return;
      const word = words.get(token.word) ?? { first: place, start: token.start };
      words.set(token.word, { ...word, end: token.end });
    });
    const seen = [...words.values()].filter((word) => SEEN.test(spaced.slice(word.start, word.end)));
    const scores = seen.map((word) => softmax(Array.from(logits[word.first])));
    const tags = scores.map((row) => this.labels[largest(row)]);
    const entities = spansOf(tags).map(({ kind, first, last }) => {
      let { start } = seen[first];
      while (IS_SPACE.test(spaced[start])) start += 1;
      const end = seen[last].end;
      const sure = scores.slice(first, last + 1).map((row) => Math.max(...row));
      const [from, to] = [places[start], places[end - 1] + 1];
      return { label: kind, start: from, end: to, score: sure.reduce((sum, one) => sum + one, 0) / sure.length };
    });
    return { entities, tokens: tokens.length };
  }
}

export function softmax(values) {
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function largest(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

// Return the first or the last tokens, or half of each.
function cut(tokens, most, truncation) {
  if (tokens.length <= most) return tokens;
  const head = { head: most, tail: 0, head_tail: Math.ceil(most / 2) }[truncation];
  return [...tokens.slice(0, head), ...tokens.slice(tokens.length - (most - head))];
}

// Return the tokens of a pair. The longer text is truncated first, and then both equally.
function cutPair(tokens, most, truncation) {
  const [first, second] = [0, 1].map((which) => tokens.filter((token) => token.text === which));
  const room = most - (tokens.length - first.length - second.length);
  const ofSecond = Math.min(second.length, Math.max(Math.floor(room / 2), room - first.length));
  const kept = new Set([...cut(first, room - ofSecond, truncation), ...cut(second, ofSecond, truncation)]);
  return tokens.filter((token) => token.text === null || kept.has(token));
}

// Return the words of a text: adjacent tokens of letters and digits, and tokens that are parts of one character.
export function wordsOf(text, tokens, which = 0) {
  const words = [];
  let spaces = [];
  tokens.forEach((token, place) => {
    if (token.text !== which) return;
    let { start, end } = token;
    while (start < end && IS_SPACE.test(text[start])) start += 1;
    while (start < end && IS_SPACE.test(text[end - 1])) end -= 1;
    if (start === end) {
      spaces.push(place);
      return;
    }
    const last = words.at(-1);
    const touches = last && last.end === start && inWords(letterBefore(text, start)) && inWords(letterAt(text, start));
    if (last && (touches || (last.start <= start && start < last.end))) {
      last.end = Math.max(last.end, end);
      last.tokens.push(place);
    } else {
      words.push({ start, end, tokens: [...spaces, place] });
      spaces = [];
    }
  });
  words.at(-1)?.tokens.push(...spaces);
  return words.map((word) => ({ ...word, word: text.slice(word.start, word.end) }));
}

const letterAt = (text, place) => String.fromCodePoint(text.codePointAt(place));
const letterBefore = (text, place) => [...text.slice(Math.max(0, place - 2), place)].at(-1);
const inWords = (letter) => IN_WORDS.test(letter) && !UNPARTED.test(letter);

// Return `most` of `count` numbers, evenly spaced, rounded as numpy does: halves to the even number.
function evenly(count, most) {
  return Array.from({ length: most }, (_, n) => {
    const value = most > 1 ? (n * (count - 1)) / (most - 1) : 0;
    const low = Math.floor(value);
    return value - low === 0.5 ? low + (low % 2) : Math.round(value);
  });
}

// Return a text with one space between its words, and the place of each of its units in the original text.
function evenlySpaced(text) {
  const words = [...text.matchAll(BETWEEN_SPACES)];
  const places = words.flatMap((word) => Array.from({ length: word[0].length + 1 }, (_, i) => word.index + i));
  return { spaced: words.map((word) => word[0]).join(" "), places };
}

const ofSpan = (tag) => /^[BI]-./su.test(tag);
const kindOf = (tag) => (ofSpan(tag) ? tag.slice(2) : tag);

// Return the kind, the first and the last place of each span of BIO tags. A plain tag is a span of one word.
export function spansOf(tags) {
  const spans = [];
  let before = "O";
  tags.forEach((tag, place) => {
    if (tag !== "O") {
      const goesOn = tag.startsWith("I-") && ofSpan(before) && kindOf(before) === kindOf(tag);
      if (goesOn) spans.at(-1).last = place;
      else spans.push({ kind: kindOf(tag), first: place, last: place });
    }
    before = tag;
  });
  return spans;
}
