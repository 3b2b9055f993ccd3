// Requests to the service this page came from; every problem becomes an Error that can be shown.
import { problemText } from "./logic.js";

let key = sessionStorage.getItem("probefusion-key") ?? "";

export class Problem extends Error {
  constructor(status, problem) {
    super(problemText(problem, status));
    this.status = status;
  }
}

export function useKey(given) {
  key = given;
  sessionStorage.setItem("probefusion-key", given);
}

export async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, { detail: "The service cannot be reached. Is it still running?" });
  }
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, content);
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
    reader.onerror = () => reject(new Error(`${blob.name ?? "file"}: cannot be read.`));
    reader.readAsDataURL(blob);
  });
}
