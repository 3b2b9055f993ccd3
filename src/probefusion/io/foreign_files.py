"""Files that often hold embeddings and that are not read here: how to get at what they hold."""

from __future__ import annotations

from pathlib import Path

__all__ = ["advice_for"]

_SAVE = "and save the rows: np.savez('set.npz', embeddings=rows)"
_JSON = (
    "a JSON file has no one layout. What DeepFace.represent gave: probefusion.io.from_deepface(json.load("
    f"open(FILE))); anything else: load it {_SAVE}"
)
_JSON_LINES = (
    "a line of JSON has no one layout. Take the vectors of one person's lines, "
    f"rows = [json.loads(line)['vector'] for line in open(FILE)], {_SAVE}"
)
_PICKLE = (
    "a pickle can run code when it is opened, so it is never opened here. If you made it yourself, load it with "
    f"pickle.load {_SAVE}"
)
_TORCH = (
    "a PyTorch file is a pickle. Embeddings: rows = torch.load(FILE, weights_only=True).numpy() "
    f"{_SAVE}. A network: probefusion models convert FILE"
)
_MATLAB = f"a MATLAB file: rows = scipy.io.loadmat(FILE)['NAME'] {_SAVE}"
_SHEET = "a spreadsheet: save it as CSV with the columns source, e0, e1, ..."
_FRAME = (
    "an Arrow file: save it as Parquet, e.g. pandas.read_feather(FILE).to_parquet('set.parquet')"
)

_ADVICE = {
    ".json": _JSON,
    ".jsonl": _JSON_LINES,
    ".ndjson": _JSON_LINES,
    ".pickle": _PICKLE,
    ".pkl": _PICKLE,
    ".dat": _PICKLE,
    ".joblib": _PICKLE,
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".ckpt": _TORCH,
    ".mat": _MATLAB,
    ".xlsx": _SHEET,
    ".xls": _SHEET,
    ".ods": _SHEET,
    ".feather": _FRAME,
    ".arrow": _FRAME,
}


def advice_for(path: Path) -> str | None:
    """Why a file is not read here and what to do, by its ending; None for an ending that says nothing."""
    advice = _ADVICE.get(path.suffix.lower())
    return None if advice is None else f"{path.name}: {advice}."
