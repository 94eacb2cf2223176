// Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
// Draw answers: bars, the reading curve, coloured words and tags.

// Labels that are shown at first.
const SHOWN = 8;
// Curves that are drawn, and words that are written at the first one, where it changes most.
const CURVES = 4;
const NAMED = 5;
// Widths and changes below which words are not written, in units of the drawing and in shares of its height.
const APART = 84;
const SEEN = 0.05;
const SVG = "http://www.w3.org/2000/svg";
// Colours of curves and of kinds of tags, on light and on dark paper.
const COLOURS = {
  light: ["#1565c0", "#d84a05", "#2e7d32", "#7b1fa2", "#00838f", "#ad1457", "#8d6e00", "#455a64"],
  dark: ["#64b0ff", "#ff9152", "#7bc67f", "#d08be8", "#4dc3d1", "#f48fb1", "#e0bd45", "#a9bac4"],
};
const isDark = matchMedia("(prefers-color-scheme: dark)");

export const colours = () => COLOURS[isDark.matches ? "dark" : "light"];
export const onColoursChanged = (redraw) => isDark.addEventListener("change", redraw);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const percent = (score) => `${(100 * score).toFixed(1)}\u00a0%`;

// Draw a bar for each label, the most probable first. All labels are shown if `isWhole`.
export function drawBars(place, labels, scores, chosen, thresholds, isWhole, showAll) {
  const order = scores.map((_, i) => i).sort((one, other) => scores[other] - scores[one]);
  const shown = isWhole ? order : order.slice(0, Math.max(SHOWN, chosen.length));
  const bars = shown.map((i) => {
    const fill = element("div", { class: "fill", style: `width: ${Math.max(0.4, 100 * scores[i])}%` });
    const track = element("div", { class: "track", "aria-hidden": "true" }, fill);
    const threshold = thresholds(labels[i]);
    if (threshold !== null) {
      const title = `chosen above ${percent(threshold)}`;
      track.append(element("div", { class: "threshold", title, style: `left: calc(${100 * threshold}% - 1px)` }));
    }
    return element(
      "div",
      { class: chosen.includes(i) ? "bar chosen" : "bar" },
      element("span", { class: "name", title: labels[i], dir: "auto" }, labels[i]),
      track,
      element("span", { class: "score" }, percent(scores[i])),
    );
  });
  place.replaceChildren(...bars);
  if (shown.length < order.length) {
    const button = element("button", { type: "button" }, `Show all ${order.length} labels`);
    button.addEventListener("click", showAll);
    place.append(button);
  }
}

// Draw the scores after each word. `told` is called with the place of the word that is pointed at.
export function drawCurve(place, points, labels, isValue, told) {
  const last = points.at(-1).scores;
  const order = last.map((_, i) => i).sort((one, other) => last[other] - last[one]);
  // Two labels that exclude each other mirror each other, but both are drawn: the bars show both too.
  const shown = order.slice(0, CURVES);
  const all = points.flatMap((point) => shown.map((i) => point.scores[i]));
  const low = isValue ? Math.min(...all) : 0;
  const high = isValue ? Math.max(...all, low + 1e-6) : 1;
  // One unit of the drawing is one pixel, so that its words are as large on a phone.
  const width = Math.max(240, place.clientWidth);
  const [left, right, top, bottom] = [48, width - 8, 12, 164];
  const x = (n) => left + (right - left) * (points.length > 1 ? n / (points.length - 1) : 0.5);
  const y = (score) => bottom - ((bottom - top) * (score - low)) / (high - low);
  const drawing = svg("svg", { viewBox: `0 0 ${width} 196`, "aria-hidden": "true" });
  for (const share of [0, 0.5, 1]) {
    const value = low + (high - low) * share;
    drawing.append(
      svg("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, isValue ? value.toPrecision(3) : `${100 * share} %`),
    );
  }
  const palette = colours();
  shown.forEach((label, n) => {
    const line = points.map((point, i) => `${x(i).toFixed(1)},${y(point.scores[label]).toFixed(1)}`);
    const style = { fill: "none", stroke: palette[n], "stroke-width": 2.5, "stroke-linejoin": "round" };
    if (points.length > 1) drawing.append(svg("polyline", { points: line.join(" "), ...style }));
    if (points.length <= 40) {
      for (const point of line) {
        const [cx, cy] = point.split(",");
        drawing.append(svg("circle", { cx, cy, r: 3, fill: palette[n] }));
      }
    }
  });
  for (const n of changes(points, (point) => (point.scores[shown[0]] - low) / (high - low), x)) {
    const height = y(points[n].scores[shown[0]]);
    const where = { x: x(n), y: height < (top + bottom) / 2 ? height + 20 : height - 10 };
    const anchor = n < points.length / 2 ? "start" : "end";
    drawing.append(svg("text", { class: "word", ...where, "text-anchor": anchor }, short(points[n].word, 18)));
  }
  for (const [n, anchor] of points.length > 1 ? [[0, "start"], [points.length - 1, "end"]] : [[0, "middle"]]) {
    drawing.append(svg("text", { x: x(n), y: 186, "text-anchor": anchor }, short(points[n].word, 24)));
  }
  const cursor = svg("line", { class: "cursor", y1: top, y2: bottom, visibility: "hidden" });
  drawing.append(cursor);
  const keys = element("ul", { class: "keys", "aria-label": "Labels" });
  shown.forEach((label, n) => {
    keys.append(element("li", {}, element("span", { style: `background: ${palette[n]}` }), labels[label]));
  });
  const frame = element("div", { tabindex: "0", role: "img", "aria-label": described(points, labels, shown, isValue) }, drawing);
  let at = points.length - 1;
  const point = (n) => {
    at = Math.min(points.length - 1, Math.max(0, n));
    cursor.setAttribute("x1", x(at));
    cursor.setAttribute("x2", x(at));
    cursor.setAttribute("visibility", "visible");
    told(at);
  };
  frame.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const unit = ((event.clientX - box.left) / box.width) * width;
    point(Math.round(((unit - left) / (right - left)) * (points.length - 1)));
  });
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    point(at + step);
  });
  place.replaceChildren(frame, ...(isValue ? [] : [keys]));
}

const short = (word, most) => (word.length > most ? `${word.slice(0, most - 1)}…` : word);

// Return the places where a curve changes most, far enough from each other to write words there.
function changes(points, height, x) {
  const moves = points.map((point, n) =>
    n && /[\p{L}\p{N}]/u.test(point.word) ? Math.abs(height(point) - height(points[n - 1])) : 0,
  );
  const found = [];
  for (const n of moves.map((_, i) => i).sort((one, other) => moves[other] - moves[one])) {
    if (moves[n] < SEEN || found.length === NAMED) break;
    if (found.every((other) => Math.abs(x(n) - x(other)) > APART)) found.push(n);
  }
  return found;
}

function described(points, labels, shown, isValue) {
  const told = (point) =>
    isValue ? point.scores[0].toPrecision(4) : `${labels[shown[0]]} ${percent(point.scores[shown[0]])}`;
  const [first, last] = [points[0], points.at(-1)];
  return `Curve of the answer. After “${first.word}”: ${told(first)}. At the end: ${told(last)}. Arrow keys move along it.`;
}

// Draw texts with the background of each part by its score.
export function drawWords(place, texts, parts) {
  const largest = Math.max(...parts.map((part) => Math.abs(part.score)), 1e-9);
  const pieces = texts.flatMap((text, which) => {
    const found = [];
    let at = 0;
    for (const part of parts.filter((each) => each.which === which)) {
      found.push(text.slice(at, part.start));
      const share = Math.abs(part.score) / largest;
      const colour = part.score > 0 ? "--for" : "--against";
      const title = `${part.score > 0 ? "+" : "−"}${Math.abs(part.score).toFixed(3)}`;
      const style = `background: rgb(var(${colour}) / ${(0.65 * share).toFixed(2)})`;
      found.push(element("mark", { title, style }, text.slice(part.start, part.end)));
      at = part.end;
    }
    found.push(text.slice(at));
    return which ? ["\n\n", ...found] : found;
  });
  place.replaceChildren(...pieces);
}

// Draw a text with its entities, and the legend of their kinds.
export function drawTags(place, legend, text, entities, kinds) {
  const palette = colours();
  const colourOf = (kind) => palette[kinds.indexOf(kind) % palette.length];
  const pieces = [];
  let at = 0;
  for (const { label, start, end, score } of entities) {
    pieces.push(text.slice(at, start));
    const style = `--kind: ${colourOf(label)}`;
    const tag = element("mark", { class: "tag", style, title: `${label} ${percent(score)}` }, text.slice(start, end));
    tag.append(element("small", {}, label));
    pieces.push(tag);
    at = end;
  }
  place.replaceChildren(...pieces, text.slice(at));
  const counts = kinds.map((kind) => [kind, entities.filter((entity) => entity.label === kind).length]);
  const rows = counts.map(([kind, count]) =>
    element(
      "li",
      { style: `--kind: ${colourOf(kind)}` },
      element("span", { class: "swatch" }),
      `${kind} `,
      element("span", { class: "quiet" }, String(count)),
    ),
  );
  legend.replaceChildren(...rows);
}
