// Two sets side by side.
import { asBase64, call } from "./api.js";
import { inWords } from "./logic.js";
import { byId, chip, on, showList, showVerdict, takeFiles } from "./ui.js";

const sides = { first: [], second: [] };

export function startCompare() {
  for (const side of Object.keys(sides)) takeFiles(byId(`${side}-drop`), byId(`${side}-files`), (files) => take(side, files));
  on("compare", compare);
}

function take(side, files) {
  sides[side] = files;
  byId(`${side}-chips`).replaceChildren(
    ...files.map((file) => {
      const url = URL.createObjectURL(file);
      const element = chip({ url, name: file.name });
      element.querySelector("img").addEventListener("load", () => URL.revokeObjectURL(url));
      return element;
    }),
  );
}

async function compare() {
  const queries = {};
  for (const [side, files] of Object.entries(sides)) {
    if (!files.length) throw new Error(`The ${side} set is empty: choose its images.`);
    const images = await Promise.all(files.map(async (file) => ({ name: file.name, base64: await asBase64(file) })));
    queries[side] = { images };
  }
  const found = await call("POST", "/v1/compare", queries);
  showVerdict(byId("compare-verdict"), inWords(found.is_match, found.similarity, found.threshold), found.is_match);
  showList(byId("compare-warnings"), [...found.problems, ...found.warnings, ...(found.why_none ? [found.why_none] : [])]);
}
