// What was changed, the newest first.
import { call, inCollection } from "./api.js";
import { byId, make, say, trying, when } from "./ui.js";

export async function showChanges(collection) {
  const changes = await call("GET", inCollection(collection, "/changes?limit=200"));
  byId("changes-list").replaceChildren(...changes.map((change) => line(change, collection)));
  if (!changes.length) byId("changes-list").append(make("li", { text: "Nothing was changed yet." }));
}

function line(change, collection) {
  const item = make(
    "li",
    {},
    make("span", { className: "when", text: when(change.time) }),
    make("span", { text: ` ${change.action}${change.actor ? ` by ${change.actor}` : ""} (revision ${change.revision})`, dir: "auto" }),
  );
  if (change.undone_by) item.append(make("span", { text: `, undone by ${change.undone_by}` }));
  else if (!["forget", "compact"].includes(change.action))
    item.append(
      make("button", {
        type: "button", className: "plain", text: "Undo", "aria-label": `Undo ${change.action}, revision ${change.revision}`,
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
