// What the page works out, without touching it: `node --test` runs this.

/** Points of a line in a chart; values are similarities in [low, 1]. */
export function linePoints(values, { width, height, pad, low }) {
  const last = Math.max(values.length - 1, 1);
  return values
    .map((value, place) => {
      if (value === null || value === undefined) return null;
      const x = pad + ((width - 2 * pad) * place) / last;
      const part = (Math.min(1, Math.max(low, value)) - low) / (1 - low);
      const y = height - pad - (height - 2 * pad) * part;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .filter((point) => point !== null)
    .join(" ");
}

/** The height of a similarity in the same chart. */
export function heightOf(value, { height, pad, low }) {
  const part = (Math.min(1, Math.max(low, value)) - low) / (1 - low);
  return height - pad - (height - 2 * pad) * part;
}

/** The lower end of a chart that shows all of these. */
export function lowEnd(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const least = known.length ? Math.min(...known) : 0;
  return Math.max(-1, Math.min(0, Math.floor(least * 10) / 10));
}

/** A decision in words. */
export function inWords(isMatch, similarity, threshold) {
  const value = similarity.toFixed(3);
  if (isMatch === null) return `Similarity ${value}; no threshold is known, so nothing is decided.`;
  const limit = threshold.toFixed(3);
  return isMatch ? `Match: ${value} reaches the threshold ${limit}.` : `No match: ${value} stays below ${limit}.`;
}

/** Files in parts of so many images and so many bytes, as requests are bounded. */
export function inParts(files, { most, bytes }) {
  const parts = [];
  let part = [];
  let size = 0;
  for (const file of files) {
    if (part.length && (part.length >= most || size + file.size > bytes)) {
      parts.push(part);
      part = [];
      size = 0;
    }
    part.push(file);
    size += file.size;
  }
  if (part.length) parts.push(part);
  return parts;
}

/** What an error of the service says. */
export function problemText(problem, status) {
  if (problem && typeof problem.detail === "string") return problem.detail;
  return `The service answered with status ${status}.`;
}

/** Moments at which frames of a clip are taken. */
export function momentsOf(duration, { perSecond, most }) {
  if (!Number.isFinite(duration) || duration <= 0) return [0];
  const number = Math.max(1, Math.min(most, Math.floor(duration * perSecond)));
  return Array.from({ length: number }, (_, place) => ((place + 0.5) * duration) / number);
}

/** Names that no other file has. */
export function uniqueNames(names, taken) {
  const seen = new Set(taken);
  return names.map((name) => {
    let unique = name;
    for (let count = 2; seen.has(unique); count += 1) unique = `${name} (${count})`;
    seen.add(unique);
    return unique;
  });
}

/** Milliseconds to wait before a request is sent again: what the service asks for, or longer each time. */
export function pauseOf(seconds, tries) {
  return Math.min(30_000, 1000 * Math.max(seconds, 0.25 * 2 ** tries));
}

/** Why an image was left out, without its name, which stands beside it. */
export function shortReason(reason, name) {
  return reason.replace(`image '${name}': `, "").replace(`${name}: `, "");
}
