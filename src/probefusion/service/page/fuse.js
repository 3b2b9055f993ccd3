// The view in which a template forms: images go to a session one part after the other, and what it holds is read.
import { asBase64, call, inCollection } from "./api.js";
import { heightOf, inParts, inWords, linePoints, lowEnd, momentsOf, uniqueNames } from "./logic.js";
import { inPath } from "./people.js";
import { byId, chip, make, on, say, showList, showVerdict, takeFiles, trying } from "./ui.js";

const CHART = { width: 640, height: 220, pad: 34 };
const PART = { most: 2, bytes: 6_000_000 };
const FRAMES = { perSecond: 4, most: 64 };
const LONGEST_SIDE = 1280;

const state = { session: null, urls: new Map(), left: [], steps: [], busy: Promise.resolve() };

export function startFuse(collection) {
  takeFiles(byId("fuse-drop"), byId("fuse-files"), (files) => queue(() => take(files, collection)));
  on("fuse-clear", () => queue(clear));
  byId("fuse-person").addEventListener("change", () => queue(() => restart(collection)));
  on("fuse-search", () => search(collection()));
  on("fuse-enroll", () => add(collection(), true));
  on("fuse-add", () => add(collection(), false));
}

function queue(action) {
  state.busy = state.busy.then(() => trying(null, action));
  return state.busy;
}

async function clear() {
  if (state.session) await call("DELETE", `/v1/sessions/${state.session}`).catch(() => null);
  for (const url of state.urls.values()) URL.revokeObjectURL(url);
  Object.assign(state, { session: null, urls: new Map(), left: [], steps: [] });
  for (const id of ["fuse-chips", "fuse-warnings", "fuse-candidates", "fuse-verdict"]) byId(id).replaceChildren();
  for (const id of ["fuse-figure", "chips-title", "fuse-actions", "fuse-progress"]) byId(id).hidden = true;
  byId("fuse-verdict").className = "verdict";
  say("");
}

async function take(files, collection) {
  if (!files.length) return;
  say("");
  if (!state.session) state.session = (await call("POST", "/v1/sessions")).id;
  const pictures = [];
  for (const file of files) pictures.push(...(await picturesOf(file)));
  const names = uniqueNames(pictures.map((picture) => picture.name), state.urls.keys());
  pictures.forEach((picture, place) => {
    picture.name = names[place];
    state.urls.set(picture.name, URL.createObjectURL(picture.blob));
  });
  const progress = byId("fuse-progress");
  progress.hidden = false;
  progress.max = pictures.length;
  progress.value = 0;
  try {
    for (const part of inParts(pictures, PART)) {
      const images = await Promise.all(
        part.map(async ({ name, blob }) => ({ name, base64: await asBase64(blob) })),
      );
      const answer = await call("POST", `/v1/sessions/${state.session}/images`, { images });
      state.left.push(...answer.skipped);
      progress.value += part.length;
      if (answer.num_images) await show(collection());
      else showLeft();
      if (answer.num_images) say("");
    }
  } finally {
    progress.hidden = true;
  }
}

/** Pictures of a file: itself, or frames of a clip, which the browser decodes. */
async function picturesOf(file) {
  if (!file.type.startsWith("video/")) return [{ name: file.name, blob: file, size: file.size }];
  const video = make("video", { muted: "", playsinline: "" });
  const url = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error(`${file.name}: this browser cannot play the clip.`));
      video.src = url;
    });
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const canvas = make("canvas", {
      width: Math.round(video.videoWidth * scale),
      height: Math.round(video.videoHeight * scale),
    });
    const frames = [];
    for (const moment of momentsOf(video.duration, FRAMES)) {
      await new Promise((resolve) => {
        video.onseeked = resolve;
        video.currentTime = moment;
      });
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
      frames.push({ name: `${file.name} ${moment.toFixed(2)} s`, blob, size: blob.size });
    }
    return frames;
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function restart(collection) {
  state.steps = [];
  byId("fuse-figure").hidden = true;
  if (state.session && byId("fuse-chips").children.length) await show(collection());
}

async function show(collection) {
  const person = byId("fuse-person").value.trim();
  const query = person ? `?${new URLSearchParams({ collection, person })}` : "";
  const fused = await call("GET", `/v1/sessions/${state.session}${query}`);
  const warnings = [...fused.problems];
  if (fused.usability && fused.usability.verdict !== "usable")
    warnings.push(`${fused.usability.verdict}: ${fused.usability.reason}`);
  showList(byId("fuse-warnings"), warnings);
  const quality = fused.usability?.quality;
  const images = fused.template.num_images === 1 ? "1 image" : `${fused.template.num_images} images`;
  let words = `${images} fused by ${fused.template.fuser}.`;
  if (fused.screening && !fused.problems.length) words += ` Screening: ${fused.screening}.`;
  if (quality !== null && quality !== undefined) words += ` Quality of the template: ${quality} of 100.`;
  const beside = fused.beside;
  if (beside) words += ` ${inWords(beside.is_match, beside.similarity, beside.threshold)}`;
  showVerdict(byId("fuse-verdict"), words, beside ? beside.is_match : null);
  if (beside) {
    state.steps.push({ number: fused.template.num_images, ...beside });
    draw(person);
  }
  byId("fuse-chips").replaceChildren(
    ...fused.images.map((image) =>
      chip({ url: state.urls.get(image.source), name: image.source, heaviest: fused.images[0].weight, ...image }),
    ),
    ...leftChips(),
  );
  byId("chips-title").hidden = false;
  byId("fuse-actions").hidden = false;
}

const leftChips = () =>
  state.left.map(({ source, reason }) => chip({ url: state.urls.get(source), name: source, reason }));

function showLeft() {
  byId("fuse-chips").replaceChildren(...leftChips());
  byId("chips-title").hidden = false;
  say("No usable image yet; each says why.", { bad: true });
}

function draw(person) {
  const ours = state.steps.map((step) => step.similarity);
  const mean = state.steps.map((step) => step.mean_similarity);
  const limit = state.steps.at(-1).threshold;
  const area = { ...CHART, low: lowEnd([...ours, ...mean, limit]) };
  const svg = byId("fuse-chart");
  const at = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const parts = [];
  for (const value of [area.low, (area.low + 1) / 2, 1]) {
    const y = heightOf(value, area);
    parts.push(at("line", { class: "grid", x1: area.pad, x2: area.width - area.pad, y1: y, y2: y }));
    parts.push(at("text", { x: 4, y: y + 4 }, value.toFixed(2)));
  }
  if (limit !== null && limit !== undefined) {
    const y = heightOf(limit, area);
    parts.push(at("line", { class: "limit", x1: area.pad, x2: area.width - area.pad, y1: y, y2: y }));
    parts.push(at("text", { x: area.pad + 4, y: y - 5 }, "threshold"));
  }
  parts.push(at("polyline", { class: "mean", points: linePoints(mean, area) }));
  parts.push(at("polyline", { class: "ours", points: linePoints(ours, area) }));
  for (const [values, name] of [[ours, "ours"], [mean, "mean"]]) {
    const value = values.at(-1);
    if (value === null || value === undefined) continue;
    const y = heightOf(value, area);
    parts.push(at("circle", { class: `end ${name}`, cx: area.width - area.pad, cy: y, r: 4 }));
    const close = mean.at(-1) !== null && Math.abs(heightOf(ours.at(-1), area) - heightOf(mean.at(-1), area)) < 14;
    const shift = close ? (name === "ours" ? -10 : 18) : 4;
    parts.push(at("text", { x: area.width - area.pad - 8, y: y + shift, "text-anchor": "end" }, name));
  }
  svg.replaceChildren(...parts);
  const last = state.steps.at(-1);
  const plain = last.mean_similarity === null ? "" : `, plain mean ${last.mean_similarity.toFixed(3)}`;
  byId("fuse-caption").textContent =
    `Similarity to ${person} as images arrive: now ${last.similarity.toFixed(3)}${plain}, with ${last.number} images.`;
  byId("fuse-figure").hidden = false;
}

async function search(collection) {
  const found = await call("POST", inCollection(collection, "/search"), { query: { session: state.session }, top_k: 5 });
  const rows = found.candidates.map((person) =>
    make(
      "tr",
      {},
      make("td", { className: "number", text: person.similarity.toFixed(3) }),
      make("td", { className: "number", text: person.threshold === null ? "none" : person.threshold.toFixed(3) }),
      make("td", { text: { true: "match", false: "no match", null: "not decided" }[String(person.is_match)] }),
      make("td", {}, make("a", { href: `#people/${encodeURIComponent(person.person_id)}`, text: person.name, dir: "auto" })),
    ),
  );
  const head = make("tr", {}, ...["Similarity", "Threshold", "Decision", "Person"].map((text) => make("th", { text, scope: "col" })));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  const words = found.candidates.length
    ? `The most similar of ${found.gallery_size} people:`
    : "Nobody is enrolled in this collection.";
  const parts = [make("h3", { text: "Search" }), make("p", { text: words })];
  if (rows.length) parts.push(make("div", { className: "wide" }, table));
  if (found.why_none) parts.push(make("p", { text: `No decision: ${found.why_none}` }));
  byId("fuse-candidates").replaceChildren(...parts);
}

async function add(collection, isNew) {
  const name = byId("fuse-name").value.trim();
  if (!name) throw new Error("Give a name first.");
  const body = { query: { session: state.session }, source: "page", keep_chips: byId("fuse-chips-kept").checked };
  const added = isNew
    ? await call("POST", inCollection(collection, "/people"), { name, ...body })
    : await call("POST", inCollection(collection, `/people/${inPath(name)}/contributions`), body);
  const doubts = added.doubts.map((doubt) => doubt.reason).join("; ");
  say(`${added.name}: ${added.num_images} images ${added.is_held ? "held back" : "added"}${doubts ? ` (${doubts})` : ""}.`);
  document.dispatchEvent(new CustomEvent("people-changed"));
}
