// Pictures of a file: itself, or frames of a clip, which the browser decodes.
import { momentsOf } from "./logic.js";
import { make } from "./ui.js";

const FRAMES = { perSecond: 4, most: 64 };
const LONGEST_SIDE = 1280;
const LONGEST_WAIT = 10_000;
const FAR = 1e7;

export async function picturesOf(file) {
  if (!file.type.startsWith("video/")) return [{ name: file.name, blob: file }];
  const video = make("video", { muted: "", playsinline: "" });
  const url = URL.createObjectURL(file);
  try {
    video.src = url;
    await once(video, "loadeddata");
    if (!Number.isFinite(video.duration)) await seek(video, FAR); // a recording does not know its length before
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight, 1));
    const canvas = make("canvas", {
      width: Math.max(1, Math.round(video.videoWidth * scale)),
      height: Math.max(1, Math.round(video.videoHeight * scale)),
    });
    const frames = [];
    for (const moment of momentsOf(video.duration, FRAMES)) {
      await seek(video, moment);
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
      frames.push({ name: `${file.name} ${moment.toFixed(2)} s`, blob });
    }
    return frames;
  } finally {
    URL.revokeObjectURL(url);
    video.removeAttribute("src");
  }
}

async function seek(video, moment) {
  const arrived = once(video, "seeked");
  video.currentTime = moment;
  await arrived;
}

function once(video, event) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("this browser takes too long to play the clip.")), LONGEST_WAIT);
    const end = (then) => () => {
      clearTimeout(late);
      then();
    };
    video.addEventListener(event, end(resolve), { once: true });
    video.addEventListener("error", end(() => reject(new Error("this browser cannot play the clip."))), { once: true });
  });
}
