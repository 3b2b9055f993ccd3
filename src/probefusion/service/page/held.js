// Images that are held back until somebody decides: why, and two buttons.
import { call, inCollection } from "./api.js";
import { byId, make, offerUndo, say, trying, when } from "./ui.js";

const state = { collection: null, after: null };

/** `after` is called when something was decided. */
export function startHeld(collection, after) {
  Object.assign(state, { collection, after });
}

const path = (rest) => inCollection(state.collection(), rest);

export async function showHeld() {
  const held = await call("GET", path("/held"));
  byId("held").hidden = !held.length;
  byId("held-list").replaceChildren(...held.map(line));
}

function line({ name, contribution }) {
  const images = contribution.num_images === 1 ? "1 image" : `${contribution.num_images} images`;
  const reasons = contribution.doubts.map((doubt) => doubt.reason).join("; ");
  const button = (text, decision, done) =>
    make("button", {
      type: "button", className: "plain", text, "aria-label": `${text} ${images} of ${name}`,
      onclick: (event) =>
        trying(event.currentTarget, async () => {
          const made = await call("POST", path(`/held/${contribution.id}`), { decision });
          say(`${name}: ${images} ${done}.`);
          offerUndo(path(`/changes/${made.revision}/undo`), name, shown);
          await shown();
        }),
    });
  return make(
    "li",
    {},
    make("span", { className: "when", text: when(contribution.time) }),
    make("bdi", { text: ` ${name}` }),
    make("span", { text: `: ${images}. ${reasons}`, dir: "auto" }),
    button("Accept", "accept", "accepted"),
    button("Reject", "reject", "rejected"),
  );
}

async function shown() {
  await showHeld();
  await state.after();
  document.dispatchEvent(new CustomEvent("people-changed"));
}
