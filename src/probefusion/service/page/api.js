// Requests to the service this page came from; every problem becomes an Error that can be shown.
import { problemText } from "./logic.js";

let key = sessionStorage.getItem("probefusion-key") ?? "";

export class Problem extends Error {
  constructor(status, problem, wait = 0) {
    super(problemText(problem, status));
    this.status = status;
    this.code = String(problem?.type ?? "").split(":").pop();
    this.wait = wait;
  }
}

export function useKey(given) {
  key = given;
  sessionStorage.setItem("probefusion-key", given);
}

/** One request; `signal` ends it, `keepalive` lets it outlive the page. */
export async function call(method, path, body, { signal, keepalive = false } = {}) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const content = body === undefined ? undefined : JSON.stringify(body);
    answer = await fetch(path, { method, headers, body: content, signal, keepalive });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { detail: "The service cannot be reached. Is it still running?" });
  }
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, content, Number(answer.headers.get("Retry-After")) || 0);
  return content;
}

/** A picture of the service as an address that an image can show; null where there is none. */
export async function picture(path) {
  const answer = await fetch(path, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  return answer.ok ? URL.createObjectURL(await answer.blob()) : null;
}

export const inCollection = (collection, path) => `/v1/collections/${encodeURIComponent(collection)}${path}`;

/** The bytes of a file or picture as base64. */
export function asBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("it cannot be read; a folder must be opened and its images chosen."));
    reader.readAsDataURL(blob);
  });
}
