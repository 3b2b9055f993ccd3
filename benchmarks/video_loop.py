"""Frames per second and peak memory of `probefusion video` on a clip repeated for minutes.

    python benchmarks/video_loop.py clip.mp4 mobilefacenet_128d.onnx yunet_320.onnx --minutes 1 10

The clip is repeated by copying its packets, so that the video is as hard to decode as the clip. Each
length is processed by a process of its own, whose peak resident memory the system reports.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av


def repeat(clip: str, seconds: float, target: Path) -> None:
    """Copies the clip's packets again and again until the video is long enough."""
    with av.open(str(target), "w") as output:
        stream, shift = None, 0
        while stream is None or shift * stream.time_base < seconds:
            with av.open(clip) as source:
                given = source.streams.video[0]
                stream = stream or output.add_stream_from_template(given)
                length = given.duration
                for packet in source.demux(given):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    output.mux(packet)
                shift += length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("clip")
    parser.add_argument("embedder")
    parser.add_argument("detector")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    for minutes in options.minutes:
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "loop.mp4"
            repeat(options.clip, 60 * minutes, video)
            measured = measure(video, options, Path(folder) / "out")
        print(json.dumps({"minutes": minutes, "every": options.every, **measured}), flush=True)


def measure(video: Path, options: argparse.Namespace, output: Path) -> dict[str, object]:
    """Runs the command in a process of its own; its speed, processor time and peak memory."""
    code = "import resource, sys; from probefusion.cli import main; code = main(); usage = "
    code += "resource.getrusage(resource.RUSAGE_SELF); sys.stderr.write(f'\\n{usage.ru_maxrss}'); "
    code += "sys.exit(code)"
    command = [sys.executable, "-c", code, "video", str(video), "-o", str(output), "--json"]
    command += ["--embedder", options.embedder, "--detector", options.detector]
    command += ["--every", str(options.every)]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"probefusion video ended with {run.returncode}: {run.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = json.loads(run.stdout)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    frames = facts["counts"]["frames_read"]
    return {
        "frames": frames,
        "faces": facts["counts"]["faces_found"],
        "people": len(facts["tracks"]),
        "frames_per_second": facts["frames_per_second"],
        "seconds_with_report": round(time.monotonic() - begin, 1),
        "frames_per_processor_second": round(frames / busy, 1),
        "peak_memory_mb": round(int(run.stderr.split()[-1]) / 1024),
        "report_mb": round((output / "report.html").stat().st_size / 1e6, 2),
    }


if __name__ == "__main__":
    main()
