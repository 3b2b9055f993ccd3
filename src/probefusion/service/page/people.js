// People with what they consist of: looked at, taken out, put back.
import { call, inCollection, picture } from "./api.js";
import { showHeld, startHeld } from "./held.js";
import { byId, make, offerUndo, on, say, trying, when } from "./ui.js";

const FIRST = 100;
const MOST = 1000;
const PAUSE = 250;

const state = { next: null, person: null, collection: null, ids: new Map(), names: new Map(), timer: 0, asked: 0, opened: 0 };

export function startPeople(collection) {
  state.collection = collection;
  on("people-more", () => list({ isMore: true }));
  on("merge", merge);
  on("rename", rename);
  on("remove", remove);
  byId("people-find").addEventListener("input", () => {
    clearTimeout(state.timer);
    state.timer = setTimeout(() => trying(null, () => list()), PAUSE);
  });
  document.addEventListener("people-changed", () => trying(null, fillNames));
  startHeld(state.collection, async () => {
    if (state.person) await open(state.person.id, { isQuiet: true });
  });
}

const path = (rest) => inCollection(state.collection(), rest);
const personPath = (rest = "") => path(`/people/${encodeURIComponent(state.person.id)}${rest}`);

/** How a person goes into a path: by id, as a name may hold a slash. */
export async function idOf(name) {
  if (state.ids.has(name)) return state.ids.get(name);
  const { people } = await call("GET", path(`/people?${new URLSearchParams({ name })}`));
  return people.length ? people[0].id : name;
}

/** The name of an id, as far as it is known; undefined otherwise. */
export const nameOf = (id) => state.names.get(id);

export async function fillNames() {
  const page = await call("GET", path(`/people?limit=${MOST}`));
  state.ids = new Map(page.people.map(({ id, name }) => [name, id]));
  state.names = new Map(page.people.map(({ id, name }) => [id, name]));
  byId("names").replaceChildren(...page.people.map(({ name }) => make("option", { value: name })));
}

/** The list, and of a person who is wanted what the person consists of, unless somebody else is opened meanwhile. */
export async function showPeople(wanted) {
  const turn = (state.opened += 1);
  if (!wanted) {
    state.person = null;
    byId("person").hidden = true;
  }
  await list();
  await showHeld();
  if (wanted && turn === state.opened) await open(wanted);
}

/** People whose names hold what is looked for; a list that is read again stays as long as it was. */
async function list({ isMore = false } = {}) {
  const place = byId("people-list");
  const asked = (state.asked += 1);
  const query = new URLSearchParams({ limit: isMore ? FIRST : Math.min(MOST, Math.max(FIRST, place.children.length)) });
  const found = byId("people-find").value.trim();
  if (found) query.set("contains", found);
  if (isMore && state.next) query.set("cursor", state.next);
  const page = await call("GET", path(`/people?${query}`));
  if (asked !== state.asked) return; // something else was looked for meanwhile
  if (!isMore) place.replaceChildren();
  state.next = page.next;
  byId("people-more").hidden = !page.next;
  const people = page.total === 1 ? "1 person" : `${page.total} people`;
  byId("people-count").textContent = found ? `${people} found` : people;
  place.append(
    ...page.people.map(({ id, name }) =>
      make(
        "li",
        {},
        make(
          "button",
          { type: "button", "data-person": id, title: name, dir: "auto", onclick: () => trying(null, () => open(id)) },
          make("span", { className: "clamp", text: name }),
        ),
      ),
    ),
  );
  if (!place.children.length) place.append(make("li", { text: found ? "Nobody has such a name." : "Nobody is enrolled yet: fuse images and enrol them." }));
  markOpened();
}

function markOpened() {
  for (const button of byId("people-list").querySelectorAll("button"))
    if (button.dataset.person === state.person?.id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
}

async function open(wanted, { isQuiet = false } = {}) {
  const turn = (state.opened += 1);
  const person = await call("GET", path(`/people/${encodeURIComponent(wanted)}`));
  if (turn !== state.opened) return; // somebody else was opened meanwhile
  state.person = person;
  byId("person").hidden = false;
  byId("person-name").textContent = person.name;
  const images = person.num_images === 1 ? "1 image" : `${person.num_images} images`;
  byId("person-facts").textContent =
    `${images} in the template, enrolled ${when(person.created)}${person.is_ignored ? ", matches are ignored" : ""}.`;
  markOpened();
  byId("person-different").textContent = person.different_from.length ? `Known to be different from ${person.different_from.join(", ")}.` : "";
  byId("person-contributions").replaceChildren(...person.contributions.map(contribution));
  if (!isQuiet) byId("person-name").focus({ preventScroll: false });
}

function contribution(part) {
  const shown = part.images.filter((image) => !image.is_left_out);
  const gone = part.images.length - shown.length;
  const images = `${part.num_images === 1 ? "1 image" : `${part.num_images} images`}${gone ? `, ${gone} taken out` : ""}`;
  const source = part.source ? `, from ${part.source}` : "";
  const item = make(
    "li",
    { "data-contribution": part.id },
    make("span", { className: "when", text: when(part.time) }),
    make("span", { text: ` ${part.kind}: ${images}${source}`, dir: "auto" }),
    make("button", {
      type: "button", className: "plain", text: "Take out", "aria-label": `Take out ${part.kind} of ${when(part.time)}`,
      onclick: (event) => trying(event.currentTarget, () => change("DELETE", path(`/contributions/${part.id}`), "taken out")),
    }),
  );
  if (shown.length) {
    const names = shown.map((image) =>
      make(
        "li",
        {},
        image.has_chip ? face(image) : null,
        make("span", { text: image.source || image.id, dir: "auto" }),
        make("button", {
          type: "button", className: "plain", text: "Take out", "aria-label": `Take out ${image.source || image.id}`,
          onclick: (event) => trying(event.currentTarget, () => change("DELETE", path(`/images/${image.id}`), "taken out")),
        }),
      ),
    );
    item.append(make("details", {}, make("summary", { text: "Images" }), make("ul", {}, ...names)));
  }
  return item;
}

/** The small picture that is kept of an image; fetched with the key, when it comes into view. */
function face(image) {
  const element = make("img", { className: "face", alt: "", width: 56, height: 56 });
  const seen = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    const url = await picture(path(`/images/${image.id}/chip`)).catch(() => null);
    if (!url) return element.remove();
    element.addEventListener("load", () => URL.revokeObjectURL(url));
    element.src = url;
  });
  seen.observe(element);
  return element;
}

/** Makes a change, says so, and offers to take it back. */
async function change(method, where, done, body) {
  const { name, id } = state.person;
  const made = await call(method, where, body);
  say(`${name}: ${done}.`);
  offerUndo(path(`/changes/${made.revision}/undo`), name, () => refresh(id));
  await refresh(id);
}

async function refresh(id) {
  document.dispatchEvent(new CustomEvent("people-changed"));
  await showPeople(id).catch(() => showPeople());
}

async function merge() {
  const other = byId("merge-name").value.trim();
  if (!other) throw new Error("Name the person whose images go over first.");
  await change("POST", personPath("/merge"), `has the images of ${other} too`, { other });
}

async function rename() {
  const name = byId("rename-name").value.trim();
  if (!name) throw new Error("Give the new name first.");
  await change("PATCH", personPath(), `is now ${name}`, { name });
}

const remove = () => change("DELETE", personPath(), "removed");
