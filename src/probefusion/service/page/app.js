// The page: which view is shown, which collection, and the key.
import { call, useKey } from "./api.js";
import { showChanges, startChanges } from "./changes.js";
import { startCompare } from "./compare.js";
import { startFuse } from "./fuse.js";
import { fillNames, showPeople, startPeople } from "./people.js";
import { byId, make, say, trying } from "./ui.js";

const TITLES = { fuse: "Fuse", people: "People", compare: "Compare", changes: "Changes" };
const VIEWS = Object.keys(TITLES);
const collection = () => byId("collection").value;

async function show() {
  const [name, rest] = location.hash.slice(1).split("/");
  const view = VIEWS.includes(name) ? name : "fuse";
  for (const each of VIEWS) byId(`view-${each}`).hidden = each !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} - probefusion`;
  if (!collection()) return;
  if (view === "people") await showPeople(rest ? decoded(rest) : null);
  if (view === "changes") await showChanges(collection());
}

/** A part of the address; what is not well written is taken as it stands. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function begin() {
  const { names } = await call("GET", "/v1/collections");
  const chosen = collection();
  byId("collection").replaceChildren(...names.map((name) => make("option", { value: name, text: name })));
  if (names.includes(chosen)) byId("collection").value = chosen;
  byId("key-form").hidden = true;
  say("");
  await fillNames();
  await show();
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value.trim());
  byId("key").value = "";
  trying(null, async () => {
    await begin();
    byId("main").focus();
  });
});
byId("collection").addEventListener("change", () => trying(null, async () => {
  await fillNames();
  document.dispatchEvent(new CustomEvent("collection-changed"));
  await show();
}));
window.addEventListener("hashchange", () => {
  say("");
  trying(null, show);
});
startFuse(collection);
startPeople(collection);
startCompare();
startChanges();
await trying(null, show);
await trying(null, begin);
document.body.dataset.ready = "yes";
