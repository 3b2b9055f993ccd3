// The page: which view is shown, which collection, and the key.
import { call, useKey } from "./api.js";
import { showChanges } from "./changes.js";
import { startCompare } from "./compare.js";
import { startFuse } from "./fuse.js";
import { fillNames, showPeople, startPeople } from "./people.js";
import { byId, make, say, trying } from "./ui.js";

const VIEWS = ["fuse", "people", "compare", "changes"];
const collection = () => byId("collection").value;

async function show() {
  const [name, rest] = location.hash.slice(1).split("/");
  const view = VIEWS.includes(name) ? name : "fuse";
  for (const each of VIEWS) byId(`view-${each}`).hidden = each !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!collection()) return;
  if (view === "people") await showPeople(rest ? decodeURIComponent(rest) : null);
  if (view === "changes") await showChanges(collection());
}

async function begin() {
  const { names } = await call("GET", "/v1/collections");
  byId("collection").replaceChildren(...names.map((name) => make("option", { value: name, text: name })));
  byId("key-form").hidden = true;
  say("");
  await fillNames();
  await show();
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value.trim());
  trying(null, begin);
});
byId("collection").addEventListener("change", () => trying(null, async () => {
  await fillNames();
  await show();
}));
window.addEventListener("hashchange", () => trying(null, show));
startFuse(collection);
startPeople(collection);
startCompare();
await trying(null, begin);
await trying(null, show);
document.body.dataset.ready = "yes";
