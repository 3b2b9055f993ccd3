// The chart of similarities as images arrive: ours, and that of the plain mean.
import { heightOf, linePoints, lowEnd } from "./logic.js";

const CHART = { width: 640, height: 240, pad: 40 };

/** Draws the steps so far: each has number, similarity, mean_similarity and threshold. */
export function drawChart({ figure, chart, caption }, steps, person) {
  const ours = steps.map((step) => step.similarity);
  const mean = steps.map((step) => step.mean_similarity);
  const limit = steps.at(-1).threshold;
  const area = { ...CHART, low: lowEnd([...ours, ...mean, limit]) };
  const right = area.width - area.pad;
  const parts = [];
  for (const value of [area.low, (area.low + 1) / 2, 1]) {
    const y = heightOf(value, area);
    parts.push(at("line", { class: "grid", x1: area.pad, x2: right, y1: y, y2: y }));
    parts.push(at("text", { x: 2, y: y + 5 }, value.toFixed(2)));
  }
  if (limit !== null && limit !== undefined) {
    const y = heightOf(limit, area);
    parts.push(at("line", { class: "limit", x1: area.pad, x2: right, y1: y, y2: y }));
    parts.push(at("text", { x: area.width / 2, y: y + 18, "text-anchor": "middle" }, `threshold ${limit.toFixed(2)}`));
  }
  parts.push(at("polyline", { class: "mean", points: linePoints(mean, area) }));
  parts.push(at("polyline", { class: "ours", points: linePoints(ours, area) }));
  const [own, plain] = [ours.at(-1), mean.at(-1)];
  const known = (value) => value !== null && value !== undefined;
  for (const [value, name, isUpper] of [[own, "ours", !known(plain) || own >= plain], [plain, "mean", plain > own]]) {
    if (!known(value)) continue;
    const y = heightOf(value, area);
    parts.push(at("circle", { class: `end ${name}`, cx: right, cy: y, r: 4 }));
    parts.push(at("text", { x: right - 8, y: y + (isUpper ? -10 : 22), "text-anchor": "end" }, name));
  }
  chart.replaceChildren(...parts);
  const last = steps.at(-1);
  const beside = known(plain) ? `, plain mean ${plain.toFixed(3)}` : "";
  const images = last.number === 1 ? "1 image" : `${last.number} images`;
  caption.textContent = `Similarity to ${person} as images arrive: now ${own.toFixed(3)}${beside}, with ${images}.`;
  figure.hidden = false;
}

function at(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
