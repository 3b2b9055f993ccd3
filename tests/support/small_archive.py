"""Small archives in Parquet files, with planted rows of several people, for tests of archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

DIM, CHANNELS = 16, 6


def rows(seed: int = 0, num_images: int = 400, num_people: int = 23, *, text: bool = False):
    """Ids (one person has a third of all), embeddings and style in half precision, names of the images."""
    rng = np.random.default_rng(seed)
    ids = np.where(rng.random(num_images) < 0.3, 5, rng.integers(0, num_people, num_images))
    embeddings = rng.standard_normal((num_images, DIM)) * rng.uniform(0.5, 30, (num_images, 1))
    style = np.abs(rng.standard_normal((num_images, CHANNELS, 2)))
    names = np.array([f"{seed}-{place}.jpg" for place in range(num_images)])
    ids = np.array([f"person {name}" for name in ids]) if text else ids
    return ids, embeddings.astype(np.float16), style.astype(np.float16), names


def write(
    path: Path, columns, chosen=slice(None), *, group_rows: int = 40, embedder: str = "net@1"
) -> Path:
    """Writes some of the rows as a Parquet file."""
    import pyarrow
    from pyarrow import parquet

    ids, embeddings, style, names = (column[chosen] for column in columns)

    def lists(matrix):
        flat = matrix.reshape(len(matrix), -1)
        return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(flat.ravel()), flat.shape[1])

    table = pyarrow.table(
        {
            "template_id": ids,
            "embedding": lists(embeddings),
            "style": lists(style),
            "source": names,
        }
    ).replace_schema_metadata({"embedder": embedder})
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(table, path, row_group_size=group_rows)
    return path


def write_folder(folder: Path, columns, *, num_files: int = 5, order=None) -> Path:
    """Writes the rows into several files, made in any order."""
    borders = np.linspace(0, len(columns[0]), num_files + 1).astype(int)
    for number in range(num_files) if order is None else order:
        part = slice(borders[number], borders[number + 1])
        write(folder / f"part-{number:02d}.parquet", columns, part)
    return folder
