// Small things that all views do with the page. Text is set as text, never as markup: names may hold anything.
import { call } from "./api.js";

export const byId = (id) => document.getElementById(id);

export function make(tag, { text, className, ...more } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  for (const [name, value] of Object.entries(more)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function say(text, { bad = false } = {}) {
  const place = byId("message");
  place.textContent = text;
  place.classList.toggle("bad", bad);
  if (bad) place.scrollIntoView({ block: "nearest" });
}

/** Runs what a button asks for; while it runs the button rests, and a problem is shown in words. */
export async function trying(button, action) {
  if (button) button.disabled = true;
  try {
    return await action();
  } catch (error) {
    say(error.message, { bad: true });
    if (error.status === 401) askForKey();
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

function askForKey() {
  byId("key-form").hidden = false;
  byId("key").focus();
}

export const on = (id, action) =>
  byId(id).addEventListener("click", (event) => trying(event.currentTarget, action));

export function showList(list, texts) {
  list.replaceChildren(...texts.map((text) => make("li", { text, dir: "auto" })));
}

/** A verdict; what is doubtful is not shown in the colour of a match. */
export function showVerdict(place, text, isMatch, { isDoubtful = false } = {}) {
  place.textContent = text;
  place.classList.toggle("yes", isMatch === true && !isDoubtful);
  place.classList.toggle("no", isMatch === false && !isDoubtful);
  place.classList.toggle("doubt", isDoubtful);
}

/** Takes files that are chosen or dropped. */
export function takeFiles(drop, input, take) {
  const given = (files) => trying(null, () => take([...files]));
  input.addEventListener("change", () => {
    given(input.files);
    input.value = "";
  });
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    given(event.dataTransfer.files);
  });
}

export function chip({ url, name, weight, similarity, reason, heaviest = 1 }) {
  const element = make("li", { className: reason ? "out" : "" });
  if (url) element.append(make("img", { src: url, alt: "", loading: "lazy", onerror: (event) => event.currentTarget.remove() }));
  element.append(make("span", { className: "name", text: name, title: name, dir: "auto" }));
  if (reason) element.append(make("span", { className: "reason", text: `left out: ${reason}`, title: reason, tabindex: 0 }));
  if (weight !== undefined) {
    const share = `${(100 * weight).toFixed(1)} %`;
    element.append(
      make("meter", { min: 0, max: heaviest, value: weight, "aria-label": `weight of ${name}` }),
      make("span", { text: `${share}, alone ${similarity.toFixed(2)}` }),
    );
  }
  return element;
}

export const when = (time) => new Date(time).toLocaleString();

/** A button beside the message that takes the last change back. */
export function offerUndo(where, name, after) {
  byId("message").append(
    make("button", {
      type: "button", id: "undo", text: "Undo",
      onclick: (event) =>
        trying(event.currentTarget, async () => {
          await call("POST", where);
          say(`${name}: undone.`);
          await after();
        }),
    }),
  );
}
