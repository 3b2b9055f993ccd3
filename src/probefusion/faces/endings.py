"""What the endings of file names stand for, where files are looked for in folders and archives."""

from __future__ import annotations

__all__ = ["IMAGE_SUFFIXES", "SIDE_FILES", "SIDE_SUFFIXES", "UNREAD_SUFFIXES", "VIDEO_SUFFIXES"]

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff",
        ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".avif", ".gif", ".jp2", ".j2k",
    }
)  # fmt: skip
"""Files in folders and archives are taken for images if their lower-case name ends so. What they are is
decided by their first bytes."""

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts",
        ".flv", ".wmv", ".asf", ".ogv", ".3gp", ".3g2", ".mxf", ".vob", ".gif", ".mjpeg", ".mjpg",
        ".h264", ".264", ".hevc", ".265", ".y4m", ".ivf",
    }
)  # fmt: skip
"""Files are taken for videos if their lower-case name ends so."""

UNREAD_SUFFIXES = {
    ".zip": "an archive inside a folder or archive: give its own path",
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
        "a camera's raw file, which is not read: convert it to JPEG or PNG",
    ),
    **dict.fromkeys(
        (".npy", ".npz", ".h5", ".hdf5", ".parquet", ".safetensors", ".mat", ".onnx"),
        "an array or a model, no image: give its own path",
    ),
}
"""Files that are listed as skipped without a look inside, and why."""

SIDE_SUFFIXES = frozenset(
    {
        ".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml",
        ".ini", ".html", ".htm", ".log", ".xmp", ".aae", ".sha256", ".md5", ".db", ".lnk", ".py", ".sh",
    }
)  # fmt: skip
"""Notes, tables and side files that stand beside images and are passed over without a word."""

SIDE_FILES = frozenset({"license", "licence", "copying", "readme", "notice", "makefile"})
"""The same without an ending, in lower case."""
