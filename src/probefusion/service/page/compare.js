// Two sets side by side: each goes to a session of its own, so that its size does not matter.
import { call } from "./api.js";
import { inWords, shortReason } from "./logic.js";
import { byId, chip, on, say, showList, showVerdict, takeFiles } from "./ui.js";
import { Upload } from "./upload.js";

const sides = {};

export function startCompare() {
  for (const side of ["first", "second"]) {
    sides[side] = new Upload({ progress: byId(`${side}-progress`), onPart: async () => showSide(side) });
    takeFiles(byId(`${side}-drop`), byId(`${side}-files`), (files) => take(side, files));
  }
  on("compare", compare);
}

async function take(side, files) {
  if (!files.length) return;
  say("");
  sides[side].reset();
  showVerdict(byId("compare-verdict"), "", null);
  showList(byId("compare-warnings"), []);
  try {
    await sides[side].add(files);
  } finally {
    showSide(side);
  }
}

function showSide(side) {
  const { sent, left, waiting } = sides[side];
  byId(`${side}-chips`).replaceChildren(
    ...sent.map(({ name, url }) => chip({ url, name })),
    ...left.map(({ name, url, reason }) => chip({ url, name, reason: shortReason(reason, name) })),
    ...waiting.map(({ name, url }) => chip({ url, name, reason: "not sent yet" })),
  );
  byId(`${side}-count`).textContent = `${sent.length} used, ${left.length} left out`;
}

async function compare() {
  for (const [side, upload] of Object.entries(sides)) {
    await upload.busy.catch(() => null);
    if (!upload.pictures.length) throw new Error(`The ${side} set is empty: choose its images.`);
    if (upload.waiting.length) await upload.again();
    showSide(side);
    if (!upload.sent.length) throw new Error(`The ${side} set has no image that can be used; each says why.`);
  }
  const found = await sides.first.withSession((first) =>
    sides.second.withSession((second) => call("POST", "/v1/compare", { first: { session: first }, second: { session: second } })),
  );
  const problems = found.problems.length > 0;
  const words = `${found.num_images[0]} and ${found.num_images[1]} images. ${inWords(found.is_match, found.similarity, found.threshold)}`;
  showVerdict(byId("compare-verdict"), problems ? `${words} Do not rely on it: see the warning.` : words, found.is_match, { isDoubtful: problems });
  showList(byId("compare-warnings"), [...found.problems, ...found.warnings, ...(found.why_none ? [found.why_none] : [])]);
}
