// What was changed, the newest first.
import { call, inCollection } from "./api.js";
import { nameOf } from "./people.js";
import { byId, make, on, say, trying, when } from "./ui.js";

const SHOWN = 200;
const state = { next: null, collection: null, asked: 0 };

export function startChanges() {
  on("changes-more", () => list({ isMore: true }));
}

/** The newest changes of a collection; older ones come when they are asked for. */
export async function showChanges(collection) {
  state.collection = collection;
  await list();
}

async function list({ isMore = false } = {}) {
  const asked = (state.asked += 1);
  const { collection } = state;
  const query = new URLSearchParams({ limit: SHOWN });
  if (isMore && state.next) query.set("cursor", state.next);
  const page = await call("GET", inCollection(collection, `/changes?${query}`));
  if (asked !== state.asked) return; // another list was asked for meanwhile
  const place = byId("changes-list");
  if (!isMore) place.replaceChildren();
  state.next = page.next;
  byId("changes-more").hidden = !page.next;
  place.append(...page.changes.map((change) => line(change, collection)));
  if (!isMore && !page.changes.length) place.append(make("li", { text: "Nothing was changed yet." }));
}

/** The people of a change: links with their names, or the id of who is not shown any more. */
function whom(change) {
  const people = change.subjects.filter((id) => id.startsWith("p"));
  return people.flatMap((id, place) => [
    make("span", { text: place ? " and " : " " }),
    nameOf(id) === undefined
      ? make("span", { text: id })
      : make("a", { href: `#people/${encodeURIComponent(id)}`, text: nameOf(id), dir: "auto" }),
  ]);
}

function line(change, collection) {
  const item = make(
    "li",
    {},
    make("span", { className: "when", text: when(change.time) }),
    make("span", { text: ` ${change.action}` }),
    ...whom(change),
    make("span", { text: `${change.actor ? ` by ${change.actor}` : ""} (revision ${change.revision})` }),
  );
  const names = change.subjects.map(nameOf).filter(Boolean).join(" and ");
  if (change.undone_by) item.append(make("span", { text: `, undone by ${change.undone_by}` }));
  else if (!["forget", "compact"].includes(change.action))
    item.append(
      make("button", {
        type: "button", className: "plain", text: "Undo", "aria-label": `Undo ${change.action}${names ? ` of ${names}` : ""}, revision ${change.revision}`,
        onclick: (event) =>
          trying(event.currentTarget, async () => {
            await call("POST", inCollection(collection, `/changes/${change.revision}/undo`));
            say("Undone.");
            document.dispatchEvent(new CustomEvent("people-changed"));
            await showChanges(collection);
          }),
      }),
    );
  return item;
}
