// The view in which a template forms: images go to a session one part after the other, and what it holds is read.
import { call, inCollection } from "./api.js";
import { drawChart } from "./chart.js";
import { inWords, shortReason } from "./logic.js";
import { idOf } from "./people.js";
import { byId, chip, make, on, say, showList, showVerdict, takeFiles, trying } from "./ui.js";
import { Upload } from "./upload.js";

const state = { steps: [], collection: null, upload: null, unknown: "" };

export function startFuse(collection) {
  state.collection = collection;
  state.upload = new Upload({ progress: byId("fuse-progress"), onPart });
  takeFiles(byId("fuse-drop"), byId("fuse-files"), (files) => send(() => state.upload.add(files)));
  on("fuse-rest", () => send(() => state.upload.again()));
  byId("fuse-clear").addEventListener("click", clear);
  byId("fuse-person").addEventListener("change", () => trying(null, restart));
  on("fuse-search", search);
  on("fuse-enroll", () => add(true));
  on("fuse-add", () => add(false));
  document.addEventListener("collection-changed", () => trying(null, restart));
}

/** Sends, and shows at the end what is left to say, whatever became of it. */
async function send(action) {
  say("");
  byId("fuse-rest").hidden = true;
  const { upload } = state;
  try {
    await action();
    if (!upload.sent.length && upload.left.length) say("No usable image yet; each says why.", { bad: true });
    else if (state.unknown) say(state.unknown, { bad: true });
  } finally {
    const waiting = upload.waiting.length;
    byId("fuse-rest").hidden = !waiting;
    byId("fuse-rest").textContent = waiting === 1 ? "Send the image that is missing" : `Send the ${waiting} images that are missing`;
    if (upload.pictures.length) showLeft();
  }
}

function clear() {
  state.upload.reset();
  Object.assign(state, { steps: [], unknown: "" });
  for (const id of ["fuse-chips", "fuse-left", "fuse-warnings", "fuse-candidates", "fuse-verdict"]) byId(id).replaceChildren();
  for (const id of ["fuse-figure", "chips-title", "fuse-actions", "fuse-rest"]) byId(id).hidden = true;
  byId("fuse-verdict").className = "verdict";
  say("");
}

async function onPart({ numImages }) {
  if (numImages) await show();
  showLeft();
}

async function restart() {
  state.steps = [];
  byId("fuse-figure").hidden = true;
  say("");
  if (!state.upload.sent.length) return;
  await state.upload.withSession(show);
  if (state.unknown) say(state.unknown, { bad: true });
}

async function read(person) {
  const query = person ? `?${new URLSearchParams({ collection: state.collection(), person })}` : "";
  return call("GET", `/v1/sessions/${state.upload.session}${query}`, undefined, { signal: state.upload.aborter.signal });
}

/** The template so far. Whom it is compared with may be nobody's name: that stops no image. */
async function show() {
  const { upload } = state;
  const person = byId("fuse-person").value.trim();
  state.unknown = "";
  let fused;
  try {
    fused = await read(person);
  } catch (error) {
    if (upload.aborter.signal.aborted) return;
    if (!person || error.code !== "unknown-name") throw error;
    state.unknown = `Nobody is called ${person} in this collection, so nothing is compared.`;
    fused = await read("");
  }
  const { beside, problems, usability } = fused;
  const warnings = [...problems, ...(beside ? beside.warnings : [])];
  if (usability && usability.verdict !== "usable") warnings.push(`${usability.verdict}: ${usability.reason}`);
  showList(byId("fuse-warnings"), warnings);
  const quality = usability?.quality;
  const number = fused.template.num_images;
  let words = `${number === 1 ? "1 image" : `${number} images`} fused by ${fused.template.fuser}.`;
  if (fused.screening && !problems.length) words += ` Screening: ${fused.screening}.`;
  if (quality !== null && quality !== undefined) words += ` Quality of the template: ${quality} of 100.`;
  if (beside) words += ` ${inWords(beside.is_match, beside.similarity, beside.threshold)}`;
  if (beside && problems.length) words += " Do not rely on it: see the warning.";
  showVerdict(byId("fuse-verdict"), words, beside ? beside.is_match : null, { isDoubtful: problems.length > 0 });
  if (beside) {
    state.steps.push({ number, ...beside });
    drawChart({ figure: byId("fuse-figure"), chart: byId("fuse-chart"), caption: byId("fuse-caption") }, state.steps, beside.name);
  }
  byId("fuse-chips").replaceChildren(
    ...fused.images.map((image) =>
      chip({ url: upload.picture(image.source)?.url, name: image.source, heaviest: fused.images[0].weight, ...image }),
    ),
  );
  byId("fuse-actions").hidden = false;
}

function showLeft() {
  const { left, waiting } = state.upload;
  byId("fuse-left").replaceChildren(
    ...left.map(({ name, url, reason }) => chip({ url, name, reason: shortReason(reason, name) })),
  );
  byId("chips-title").hidden = !state.upload.pictures.length;
  byId("fuse-count").textContent =
    `${state.upload.sent.length} used, ${left.length} left out${waiting.length ? `, ${waiting.length} to be sent` : ""}`;
}

async function search() {
  const found = await state.upload.withSession((session) =>
    call("POST", inCollection(state.collection(), "/search"), { query: { session }, top_k: 5 }),
  );
  const rows = found.candidates.map((person) =>
    make(
      "tr",
      {},
      make("td", { className: "number", text: person.similarity.toFixed(3) }),
      make("td", { className: "number", text: person.threshold === null ? "none" : person.threshold.toFixed(3) }),
      make("td", { text: decision(person, found.problems.length > 0 || found.usability.verdict === "not usable") }),
      make("td", { className: "long" }, make("a", { href: `#people/${encodeURIComponent(person.person_id)}`, text: person.name, title: person.name, className: "clamp", dir: "auto" })),
    ),
  );
  const head = make("tr", {}, ...["Similarity", "Threshold", "Decision", "Person"].map((text) => make("th", { text, scope: "col" })));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  const words = found.candidates.length
    ? `The most similar of ${found.gallery_size} people:`
    : "Nobody is enrolled in this collection.";
  const warnings = make("ul", { className: "warnings" });
  showList(warnings, [...new Set([...found.problems, ...found.warnings, ...found.candidates.flatMap((each) => each.warnings)])]);
  const parts = [make("h3", { text: "Search" }), make("p", { text: words }), warnings];
  if (rows.length) parts.push(make("div", { className: "wide" }, table));
  if (found.why_none) parts.push(make("p", { text: `No decision: ${found.why_none}` }));
  byId("fuse-candidates").replaceChildren(...parts);
}

function decision({ is_match: isMatch, is_ignored: isIgnored }, isDoubtful) {
  const word = { true: isDoubtful ? "match, doubtful" : "match", false: "no match", null: "not decided" }[String(isMatch)];
  return isIgnored ? `${word}, ignored` : word;
}

async function add(isNew) {
  const name = byId("fuse-name").value.trim();
  if (!name) throw new Error("Give a name first.");
  const collection = state.collection();
  const where = isNew ? "/people" : `/people/${encodeURIComponent(await idOf(name))}/contributions`;
  const added = await state.upload.withSession((session) =>
    call("POST", inCollection(collection, where), {
      ...(isNew ? { name } : {}), query: { session }, source: "page", keep_chips: byId("fuse-chips-kept").checked,
    }),
  );
  const doubts = [...added.doubts.map((doubt) => doubt.reason), ...added.problems, ...added.warnings].join("; ");
  const images = added.num_images === 1 ? "1 image" : `${added.num_images} images`;
  const what = added.is_held ? "held back, see People" : "added";
  say(`${added.name}: ${images} ${what}${doubts ? ` (${doubts})` : ""}.`);
  document.dispatchEvent(new CustomEvent("people-changed"));
}
