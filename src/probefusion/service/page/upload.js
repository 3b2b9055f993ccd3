// Pictures on their way to a session, in parts. None is lost without a word: what cannot be sent waits or says why.
import { asBase64, call } from "./api.js";
import { picturesOf } from "./clips.js";
import { inParts, pauseOf, uniqueNames } from "./logic.js";

const BYTES = 6_000_000;
const STEPS = 16;
const TRIES = 6;
const all = new Set();

addEventListener("pagehide", () => {
  for (const upload of all) upload.close();
});

export class Upload {
  /** `onPart` is called after each part with how much is done; `progress` is a bar. */
  constructor({ progress, onPart = async () => {} }) {
    Object.assign(this, { progress, onPart });
    all.add(this);
    this.#empty();
  }

  #empty() {
    this.session = null;
    this.pictures = [];
    this.aborter = new AbortController();
    this.busy = Promise.resolve();
  }

  get waiting() {
    return this.pictures.filter((each) => each.state === "waiting");
  }

  get sent() {
    return this.pictures.filter((each) => each.state === "sent");
  }

  get left() {
    return this.pictures.filter((each) => each.state === "out");
  }

  picture(name) {
    return this.pictures.find((each) => each.name === name);
  }

  /** Ends what is under way and begins anew. */
  reset() {
    this.aborter.abort();
    this.close();
    for (const { url } of this.pictures) if (url) URL.revokeObjectURL(url);
    this.progress.hidden = true;
    this.#empty();
  }

  /** Lets the service forget the session; the answer does not matter. */
  close() {
    if (this.session) call("DELETE", `/v1/sessions/${this.session}`, undefined, { keepalive: true }).catch(() => null);
    this.session = null;
  }

  /** Takes files and sends them, after what is under way. */
  add(files) {
    const { aborter } = this;
    const next = this.busy.catch(() => null).then(async () => {
      for (const file of files) {
        let found;
        try {
          found = await picturesOf(file);
        } catch (error) {
          found = [{ name: file.name, blob: null, state: "out", reason: error.message }];
        }
        if (aborter.signal.aborted) return;
        const names = uniqueNames(found.map((each) => each.name), this.pictures.map((each) => each.name));
        found.forEach((each, place) =>
          this.pictures.push({
            state: "waiting", ...each, name: names[place], size: each.blob?.size ?? 0,
            url: each.blob ? URL.createObjectURL(each.blob) : null,
          }),
        );
      }
      await this.#send(aborter);
    });
    this.busy = next;
    return next;
  }

  /** Sends what waits. */
  again() {
    return this.add([]);
  }

  /** Does something with the session; if the service does not know it any more, sends all images to another first. */
  async withSession(action) {
    await this.busy.catch(() => null);
    try {
      return await action(this.session);
    } catch (error) {
      if (error.code !== "unknown-session") throw error;
      this.#restart();
      await this.again();
      return action(this.session);
    }
  }

  #restart() {
    this.session = null;
    for (const each of this.sent) each.state = "waiting";
  }

  async #send(aborter) {
    const most = Math.max(2, Math.ceil(this.waiting.length / STEPS));
    const total = this.waiting.length;
    let tries = 0;
    let alone = false;
    let isShown = true;
    let restarts = 0;
    this.progress.max = total || 1;
    this.progress.value = 0;
    this.progress.hidden = !total;
    try {
      if (!total && this.left.length) await this.onPart({ numImages: this.sent.length });
      while (this.waiting.length) {
        const [part] = inParts(this.waiting, { most: alone ? 1 : most, bytes: BYTES });
        try {
          const answer = await this.#post(part, aborter.signal);
          if (aborter.signal.aborted) return;
          tries = 0;
          this.progress.value = total - this.waiting.length;
          isShown = false;
          await this.onPart({ numImages: answer ? answer.num_images : this.sent.length });
          isShown = true;
        } catch (error) {
          if (aborter.signal.aborted) return;
          if (error.code === "unknown-session" && restarts < TRIES) {
            restarts += 1;
            this.#restart();
          } else if ([429, 503].includes(error.status) && tries < TRIES) {
            tries += 1;
            await new Promise((resolve) => setTimeout(resolve, pauseOf(error.wait, tries)));
          } else if (![413, 422].includes(error.status) || part.every((each) => each.state !== "waiting")) throw error;
          else if (part.length > 1) alone = true;
          else out(part[0], error.message);
        }
        if (aborter.signal.aborted) return;
      }
      if (!isShown) await this.onPart({ numImages: this.sent.length });
    } finally {
      if (!aborter.signal.aborted) this.progress.hidden = true;
    }
  }

  async #post(part, signal) {
    const images = [];
    for (const each of part) {
      try {
        images.push({ name: each.name, base64: await asBase64(each.blob) });
      } catch (error) {
        out(each, error.message);
      }
    }
    if (!images.length) return null;
    if (!this.session) {
      const { id } = await call("POST", "/v1/sessions", undefined, { signal });
      this.session = id;
    }
    const answer = await call("POST", `/v1/sessions/${this.session}/images`, { images }, { signal });
    const reasons = new Map(answer.skipped.map(({ source, reason }) => [source, reason]));
    for (const each of part) {
      if (reasons.has(each.name)) out(each, reasons.get(each.name));
      else if (each.state === "waiting") each.state = reasons.has("images") ? "out" : "sent";
      if (each.state === "out") each.reason ??= reasons.get("images");
    }
    return answer;
  }
}

function out(picture, reason) {
  picture.state = "out";
  picture.reason = reason;
}
