// People with what they consist of: looked at, taken out, put back.
import { call, inCollection, picture } from "./api.js";
import { byId, make, on, say, trying, when } from "./ui.js";

const state = { next: null, person: null, collection: null, ids: new Map() };

export function startPeople(collection) {
  state.collection = collection;
  on("people-more", () => list(false));
  on("merge", merge);
  on("rename", rename);
  on("remove", remove);
  document.addEventListener("people-changed", () => trying(null, fillNames));
}

const path = (rest) => inCollection(state.collection(), rest);
const personPath = (rest = "") => path(`/people/${encodeURIComponent(state.person.id)}${rest}`);

/** How a person goes into a path: by id, as a name may hold a slash. */
export const inPath = (name) => encodeURIComponent(state.ids.get(name) ?? name);

export async function fillNames() {
  const page = await call("GET", path("/people?limit=1000"));
  state.ids = new Map(page.people.map(({ id, name }) => [name, id]));
  byId("names").replaceChildren(...page.people.map(({ name }) => make("option", { value: name })));
}

export async function showPeople(wanted) {
  await list(true);
  if (wanted) await open(wanted);
  else byId("person").hidden = true;
}

async function list(anew) {
  if (anew) {
    state.next = null;
    byId("people-list").replaceChildren();
  }
  const more = state.next ? `&cursor=${encodeURIComponent(state.next)}` : "";
  const page = await call("GET", path(`/people?limit=100${more}`));
  state.next = page.next;
  byId("people-more").hidden = !page.next;
  byId("people-count").textContent = page.total === 1 ? "1 person" : `${page.total} people`;
  byId("people-list").append(
    ...page.people.map(({ id, name }) =>
      make("li", {}, make("button", { type: "button", text: name, dir: "auto", onclick: () => trying(null, () => open(id)) })),
    ),
  );
}

async function open(wanted) {
  const person = await call("GET", path(`/people/${encodeURIComponent(wanted)}`));
  state.person = person;
  byId("person").hidden = false;
  byId("person-name").textContent = person.name;
  const images = person.num_images === 1 ? "1 image" : `${person.num_images} images`;
  byId("person-facts").textContent =
    `${images} in the template, enrolled ${when(person.created)}${person.is_ignored ? ", matches are ignored" : ""}.`;
  for (const button of byId("people-list").querySelectorAll("button"))
    button.toggleAttribute("aria-current", button.textContent === person.name);
  byId("person-contributions").replaceChildren(...person.contributions.map(contribution));
  byId("person-name").focus({ preventScroll: false });
}

function contribution(part) {
  const images = part.num_images === 1 ? "1 image" : `${part.num_images} images`;
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
  const shown = part.images.filter((image) => !image.is_left_out);
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
  const name = state.person.name;
  const made = await call(method, where, body);
  say(`${name}: ${done}.`);
  byId("message").append(
    make("button", {
      type: "button", id: "undo", text: "Undo",
      onclick: (event) =>
        trying(event.currentTarget, async () => {
          await call("POST", path(`/changes/${made.revision}/undo`));
          say(`${name}: undone.`);
          await showPeople(state.person.id);
          document.dispatchEvent(new CustomEvent("people-changed"));
        }),
    }),
  );
  document.dispatchEvent(new CustomEvent("people-changed"));
  await showPeople(state.person.id).catch(() => showPeople());
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
