// Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
// Token ids of a text with their words and character offsets, as the tokenizer of the model gives them in Python.
//
// The parts of Hugging Face's JavaScript tokenizers are used: normalizer, pre-tokenizer, model and post-processor. The
// library itself joins them without offsets, and some of its parts differ from the Rust library; `repaired` lists these.
// Offsets count UTF-16 code units, as strings of JavaScript do.

import { Tokenizer } from "./vendor/tokenizers/tokenizers.js";

// Characters that Python's str.isspace and \s of its regular expressions accept. JavaScript's \s differs in six of them.
export const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
// The same for the Rust library: the Unicode property White_Space.
const WHITE = "\\p{White_Space}";
const BYTE_LEVEL = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${WHITE}\\p{L}\\p{N}]+|${WHITE}+(?!\\P{White_Space})|${WHITE}+`,
  "gu",
);
const PUNCTUATION = "\\p{P}\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e";
// A character with the combining marks, or the Hangul vowels and final consonants, that normalization may join to it.
const CLUSTER = /[^][\p{M}\u1160-\u11ff\ud7b0-\ud7fb]*/gu;
const LETTERS = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d";
// Words whose tokens are kept.
const KEPT = 20000;

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });
const BYTES = bytesOfLetters();

export class Tokens {
  // `file` is the parsed tokenizer.json.
  constructor(file) {
    const model = file.model;
    // The decoder is not needed, and not every one can be read. `unk_token` is read from here for kind "WordLevel".
    const written = { ...file, model, decoder: null };
    const text = JSON.stringify(written).replaceAll('"(?m:.)"', JSON.stringify("[\\s\\S]"));
    this.library = new Tokenizer(JSON.parse(text), { unk_token: model.unk_token });
    this.steps = repaired(listed(this.library.normalizer, "normalizers"), listed(file.normalizer, "normalizers"));
    this.splitters = repaired(
      listed(this.library.pre_tokenizer, "tokenizers"),
      listed(file.pre_tokenizer, "pretokenizers"),
    );
    this.isByteLevel = this.splitters.some((part) => part.byte_encoder !== undefined);
    this.metaspace = this.splitters.find((part) => part.str_rep !== undefined)?.replacement;
    this.added = new Map((file.added_tokens ?? []).map((token) => [token.content, token.id]));
    const contents = [...this.added.keys()].filter(Boolean).sort((one, other) => other.length - one.length);
    this.addedPattern = contents.length ? new RegExp(contents.map(escaped).join("|"), "gu") : null;
    this.unknown = this.library.model.unk_token_id;
    if (model.type === "Unigram") this.library.model.tokenize = (word) => mostLikely(this.library.model, word);
    this.prefix = model.continuing_subword_prefix ?? "##";
    this.kept = new Map();
  }

  // Return the tokens of a text or of a pair: {id, start, end, word, text}. `text` is 0 or 1, and null for a token that
  // the tokenizer adds to the text; `word` numbers the pre-tokens of each text.
  encode(text, pair = null) {
    const texts = [text, pair].filter((one) => one !== null).map((one, place) => this.ofText(asText(one), place));
    const joined = this.library.post_processor
      ? this.library.post_processor(texts[0], texts[1] ?? null, true).tokens
      : texts.flat();
    return joined.map((token) =>
      typeof token === "string" ? { id: this.idOf(token), start: -1, end: -1, word: null, text: null } : token,
    );
  }

  ofText(text, place) {
    const tokens = [];
    let words = 0;
    const section = (from, to) => {
      const { normalized, starts, ends } = this.normalize(text.slice(from, to), from);
      let cursor = 0;
      for (const word of this.wordsOf(normalized)) {
        const spelled = this.spelled(word);
        // A space that the pre-tokenizer puts before a text is not in the text.
        const shift = !normalized.startsWith(spelled, cursor) && spelled[0] === " " ? 1 : 0;
        const at = normalized.indexOf(spelled.slice(shift), cursor);
        for (const [id, first, last] of this.piecesOf(word)) {
          let begin = at + Math.max(0, first - shift);
          const end = Math.max(begin + 1, at + last - shift);
          // The first spaces of a byte-level token do not count.
          while (this.isByteLevel && begin < end && normalized[begin] === " ") begin += 1;
          const stop = ends[end - 1] ?? to;
          tokens.push({ id, start: begin < end ? (starts[begin] ?? to) : stop, end: stop, word: words, text: place });
        }
        cursor = at + spelled.length - shift;
        words += 1;
      }
    };
    let from = 0;
    for (const match of this.addedPattern ? text.matchAll(this.addedPattern) : []) {
      if (match.index > from) section(from, match.index);
      from = match.index + match[0].length;
      tokens.push({ id: this.added.get(match[0]), start: match.index, end: from, word: words, text: place });
      words += 1;
    }
    if (from < text.length) section(from, text.length);
    return tokens;
  }

  // Return a part of a text after normalization, and the place in the text of each of its UTF-16 code units.
  normalize(part, offset) {
    let normalized = part;
    let starts = [];
    let ends = [];
    for (const [first, last] of unitsOfLetters(part, offset)) {
      for (let unit = first; unit <= last; unit++) {
        starts.push(first);
        ends.push(last + 1);
      }
    }
    for (const step of this.steps) {
      const changed = step.pattern === undefined ? changedClusters(step, normalized) : replaced(step, normalized);
      if (changed === null) continue;
      starts = changed.places.map(([first]) => starts[first]);
      ends = changed.places.map(([, last]) => ends[last]);
      normalized = changed.normalized;
    }
    return { normalized, starts, ends };
  }

  wordsOf(normalized) {
    if (normalized === "") return [];
    let words = [normalized];
    for (const part of this.splitters) words = words.flatMap((word) => part.pre_tokenize(word));
    return words;
  }

  // Return a pre-token as it is written in the normalized text.
  spelled(word) {
    if (this.isByteLevel) return UTF8.decode(Uint8Array.from(word, (letter) => BYTES.get(letter)));
    return this.metaspace ? word.replaceAll(this.metaspace, " ") : word;
  }

  // Return [id, start, end] of each token of a pre-token.
  piecesOf(word) {
    let pieces = this.kept.get(word);
    if (pieces === undefined) {
      pieces = this.placed(word, this.library.model([word]));
      if (this.kept.size >= KEPT) this.kept.clear();
      this.kept.set(word, pieces);
    }
    return pieces;
  }

  placed(word, pieces) {
    const ids = pieces.map((piece) => this.idOf(piece));
    const length = this.spelled(word).length;
    const unprefixed = pieces.map((piece, i) =>
      i > 0 && piece.startsWith(this.prefix) ? piece.slice(this.prefix.length) : piece,
    );
    const parts = [pieces, unprefixed].find((candidate) => candidate.join("") === word);
    // An unknown word is one token, and so is a word of kinds that do not split words.
    if (parts === undefined) return ids.map((id) => [id, 0, length]);
    let bytes = 0;
    let at = 0;
    const unitOf = this.isByteLevel ? unitsOfBytes(this.spelled(word)) : null;
    return parts.map((part, i) => {
      const [from, to] = unitOf ? [bytes, bytes + part.length] : [at, at + part.length];
      bytes = at = to;
      return unitOf ? [ids[i], unitOf[from][0], unitOf[to - 1][1]] : [ids[i], from, to];
    });
  }

  idOf(token) {
    return this.added.get(token) ?? this.library.model.tokens_to_ids.get(token) ?? this.unknown;
  }
}

// Return a text without unpaired surrogates, which become question marks as in Python.
export function asText(text) {
  return text.replace(/\p{Surrogate}/gu, "?");
}

// Return the steps of a normalizer or a pre-tokenizer, or of its configuration, in order.
function listed(part, name) {
  if (part === null) return [];
  return part[name] === undefined ? [part] : part[name].flatMap((inner) => listed(inner, name));
}

// Return parts of the library after changes where they differ from the Rust library.
function repaired(parts, configs) {
  parts.forEach((part, i) => REPAIRS[configs[i].type]?.(part, configs[i]));
  return parts;
}

const REPAIRS = {
  // JavaScript's \s is not White_Space.
  ByteLevel: (part) => {
    part.pattern = BYTE_LEVEL;
  },
  BertPreTokenizer: (part) => {
    part.pattern = new RegExp(`[^${WHITE}${PUNCTUATION}]+|[${PUNCTUATION}]`, "gu");
  },
  WhitespaceSplit: (part) => {
    part.pre_tokenize_text = (text) => text.match(/\P{White_Space}+/gu) ?? [];
  },
  // JavaScript's \w is ASCII alone.
  Whitespace: (part) => {
    part.pre_tokenize_text = (text) => text.match(new RegExp(`[${LETTERS}]+|[^${LETTERS}${WHITE}]+`, "gu")) ?? [];
  },
  // The library joins punctuation marks, and its digits are ASCII alone.
  Punctuation: (part) => {
    part.pattern = new RegExp(`[^${PUNCTUATION}]+|[${PUNCTUATION}]`, "gu");
  },
  Digits: (part, config) => {
    part.pattern = new RegExp(`\\P{N}+|\\p{N}${config.individual_digits ? "" : "+"}`, "gu");
  },
  // The library does not split at the marks of spaces.
  Metaspace: (part, config) => {
    if (config.split === false) return;
    const whole = part.pre_tokenize_text.bind(part);
    const mark = escaped(part.replacement);
    const pattern = new RegExp(`${mark}[^${mark}]*|[^${mark}]+`, "gu");
    part.pre_tokenize_text = (text, options) => whole(text, options).flatMap((words) => words.match(pattern) ?? []);
  },
  Lowercase: (part) => {
    part.normalize = lowercased;
    part.unit = /[^]/gu;
  },
  BertNormalizer: (part, config) => {
    part.normalize = (text) => bertNormalized(text, config);
  },
};

// Return the most likely pieces of a word. The library compares sums that include the next piece, and this rounds in
// another way where two paths are almost equally likely.
function mostLikely(model, word) {
  const letters = [...word];
  const best = [{ score: 0 }];
  const offer = (from, to, score) => {
    const sum = best[from].score + score;
    if (best[to] === undefined || sum > best[to].score) best[to] = { score: sum, from };
  };
  for (let from = 0; from < letters.length; from++) {
    let isKnown = false;
    for (const piece of model.trie.common_prefix_search(letters, from)) {
      const count = [...piece].length;
      offer(from, from + count, model.scores[model.tokens_to_ids.get(piece)]);
      isKnown ||= count === 1;
    }
    if (!isKnown) offer(from, from + 1, model.unk_score);
  }
  const pieces = [];
  for (let to = letters.length; to > 0; to = best[to].from) pieces.push(letters.slice(best[to].from, to).join(""));
  return pieces.reverse();
}

// Rust's lower case of a letter does not depend on its neighbours: the final sigma is no exception.
function lowercased(text) {
  return text.split("Σ").map((part) => part.toLowerCase()).join("σ");
}

const HAN_OF_BERT =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

function bertNormalized(text, config) {
  if (config.clean_text) {
    text = text.replace(/(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Co}]/gu, "").replace(/\p{White_Space}/gu, " ");
  }
  if (config.handle_chinese_chars) text = text.replace(HAN_OF_BERT, " $& ");
  if (config.strip_accents ?? config.lowercase) text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
  return config.lowercase ? lowercased(text) : text;
}

// Return a text in which a pattern is replaced, and the places of its units. The replacement stands at the last
// character that it replaces, as in the Rust library. Null if nothing changes.
function replaced(step, text) {
  const content = step.config.content ?? "";
  const places = [];
  let normalized = "";
  let from = 0;
  const keep = (to) => {
    for (let unit = from; unit < to; unit++) places.push([unit, unit]);
    normalized += text.slice(from, to);
  };
  for (const match of text.matchAll(step.pattern)) {
    keep(match.index);
    from = match.index + match[0].length;
    for (let i = 0; i < content.length; i++) places.push([Math.max(0, from - 1), Math.max(0, from - 1)]);
    normalized += content;
  }
  if (from === 0 && normalized === "") return null;
  keep(text.length);
  return { normalized, places };
}

// Return a text after a step that changes each cluster by itself, and the places of its units. Null if nothing changes.
function changedClusters(step, text) {
  const whole = step.normalize(text);
  if (whole === text) return null;
  const places = [];
  let normalized = "";
  for (const match of text.matchAll(step.unit ?? CLUSTER)) {
    const before = unitsOfLetters(match[0], match.index);
    const after = step.normalize(match[0]);
    const [old, letters] = [[...match[0]], [...after]];
    const found = [];
    let next = old.length - 1;
    // The first marks are those that join the letter before them, or that are removed. The others keep their places. A
    // letter that is not found stands for the first one.
    for (let i = letters.length - 1; i >= 0; i--) {
      const isKept = step.form !== undefined || old.length === letters.length;
      const at = isKept ? i && i + old.length - letters.length : next < 0 ? -1 : old.lastIndexOf(letters[i], next);
      if (at >= 0) next = at - 1;
      found[i] = before[Math.max(0, at)];
    }
    letters.forEach((letter, i) => {
      for (let unit = 0; unit < letter.length; unit++) places.push(found[i]);
    });
    normalized += after;
  }
  if (normalized === whole) return { normalized, places };
  // The step looks further than one cluster: only the whole text is known.
  return { normalized: whole, places: Array.from({ length: whole.length }, () => [0, text.length - 1]) };
}

function unitsOfLetters(text, offset = 0) {
  const units = [];
  let at = offset;
  for (const letter of text) {
    units.push([at, at + letter.length - 1]);
    at += letter.length;
  }
  return units;
}

// Return, for each byte of a text, the start and the end of its letter.
function unitsOfBytes(text) {
  const units = [];
  let at = 0;
  for (const letter of text) {
    const code = letter.codePointAt(0);
    const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (let i = 0; i < bytes; i++) units.push([at, at + letter.length]);
    at += letter.length;
  }
  return units;
}

// Return the byte that each letter of a byte-level vocabulary stands for.
function bytesOfLetters() {
  const bytes = new Map();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const isShown = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    bytes.set(String.fromCharCode(isShown ? byte : next++), byte);
  }
  return bytes;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
