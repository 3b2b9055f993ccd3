"""The comparisons of IJB-B and IJB-C: one-to-one pairs, and probes searched in two galleries.

File formats and what is not verified about them: see `probefusion.protocols.ijb_bc`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.protocols.ijb_layout import (
    IJB_GALLERIES,
    PUBLISHED_COUNTS,
    IjbDataset,
    ijb_layout,
    refuse_count,
)
from probefusion.protocols.templates import (
    IdentificationTask,
    LabelledTemplates,
    TemplateIndex,
    VerificationPairs,
)
from probefusion.protocols.text_tables import (
    format_error,
    line_of_row,
    read_fields,
    read_integer_columns,
    read_lines,
    require_paths,
    whole_number,
)

__all__ = ["read_ijb_identification", "read_ijb_pairs"]


def read_ijb_pairs(
    root: str | Path,
    *,
    dataset: IjbDataset,
    templates: TemplateIndex,
    allow_duplicates: bool = False,
    check_counts: bool = True,
) -> VerificationPairs:
    """Reads the one-to-one comparisons, 8 million of IJB-B or 15.7 million of IJB-C.

    Args:
        root: As in `read_ijb_set`.
        dataset: "ijbb" or "ijbc".
        templates: The templates of `read_ijb_set`.
        allow_duplicates: Whether a pair may be listed more than once with one label (each line is
            then kept). Two lines that disagree about a pair are always refused.
        check_counts: Whether the numbers of pairs must be the published ones.

    Returns:
        The pairs in the order of the file, as positions in `templates`. 9 bytes per pair.

    Raises:
        UnknownNameError: For another data set.
        MissingFileError: If the file is missing; the message shows the layout.
        FileFormatError: With file and line, if a line has another number of columns, a field is no
            whole number, the label is neither 0 nor 1, a template is unknown, or a pair is listed
            twice; or if the counts are not the published ones.
    """
    layout = ijb_layout(dataset)
    path = Path(root) / "meta" / f"{dataset}_template_pair_label.txt"
    require_paths([path], layout=layout)
    table = read_integer_columns(path, columns=("template 1", "template 2", "mated"))
    labels = table[:, 2]
    if labels.max() > 1:
        row = int(np.argmax(labels > 1))
        raise format_error(
            path,
            line_of_row(path, row),
            f"mated: expected 0 or 1, got {labels[row]}. Download the file again.",
        )
    mated = labels.astype(np.bool_)
    positions = []
    for column in range(2):
        found = templates.positions(table[:, column])
        if len(found) and found.min() < 0:
            row = int(np.argmax(found < 0))
            raise format_error(
                path,
                line_of_row(path, row),
                f"template {table[row, column]} has no image in {dataset}_face_tid_mid.txt. "
                "Take both files from one copy.",
            )
        positions.append(found)
    del table, labels
    first, second = positions
    _refuse_repeated_pairs(first, second, mated, len(templates), path, allow_duplicates)
    pairs = VerificationPairs(first=first, second=second, mated=mated)
    if check_counts:
        counts = PUBLISHED_COUNTS[dataset]
        refuse_count(pairs.num_pairs, counts.num_pairs, "pairs", dataset, path)
        refuse_count(pairs.num_mated, counts.num_mated, "mated pairs", dataset, path)
    return pairs


def read_ijb_identification(
    root: str | Path, *, dataset: IjbDataset, templates: TemplateIndex
) -> IdentificationTask:
    """Reads the one-to-many search: two galleries and the mixed probes (stills and videos).

    The tables hold one line per image, so a template comes up many times; it is given once, in
    ascending order of its id, as the InsightFace helper does. The columns are found by their names in
    the first line, in any case; the published files have TEMPLATE_ID, SUBJECT_ID, FILENAME, SIGHTING_ID,
    FACE_X, FACE_Y, FACE_WIDTH, FACE_HEIGHT, of which the first two are looked at.

    Args:
        root: As in `read_ijb_set`; the three tables lie in `meta`.
        dataset: "ijbb" or "ijbc".
        templates: The templates of `read_ijb_set`.

    Returns:
        The task "1N_mixed" with the galleries S1 and S2 (IJB-B) or G1 and G2 (IJB-C).

    Raises:
        UnknownNameError: For another data set.
        MissingFileError: If a table is missing; the message shows the layout.
        FileFormatError: With file and line, if the header has no template_id or no
            subject_id, a line has too few columns, a field is no whole number, a template
            is unknown or stands for two subjects.
    """
    layout = ijb_layout(dataset)
    meta = Path(root) / "meta"
    names = [f"gallery_{name}" for name in IJB_GALLERIES[dataset]] + ["probe_mixed"]
    paths = [meta / f"{dataset}_1N_{name}.csv" for name in names]
    require_paths(paths, layout=layout)
    parts = [_read_labelled(path, name, templates) for path, name in zip(paths, names, strict=True)]
    return IdentificationTask(name="1N_mixed", probes=parts[2], galleries=(parts[0], parts[1]))


def _refuse_repeated_pairs(
    first: npt.NDArray[np.int32],
    second: npt.NDArray[np.int32],
    mated: npt.NDArray[np.bool_],
    num_templates: int,
    path: Path,
    allow: bool,
) -> None:
    """Refuses lines that say again, or otherwise, what an earlier line says of the same pair."""
    keys = first.astype(np.int64)
    keys *= num_templates
    keys += second
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return
    del ordered
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    later, earlier = order[1:][same], order[:-1][same]
    contrary = mated[later] != mated[earlier]
    if contrary.any():
        later, earlier = later[contrary], earlier[contrary]
    elif allow:
        return
    which = int(np.argmin(later))
    line = line_of_row(path, int(later[which]))
    before = line_of_row(path, int(earlier[which]))
    if contrary.any():
        raise format_error(
            path, line, f"the same pair has the other label in line {before}. Download it again."
        )
    raise format_error(
        path,
        line,
        f"the same pair is listed already in line {before} ({len(later)} lines repeat a pair). "
        f"Download the file again; if your copy is the official one, pass allow_duplicates=True.",
    )


def _read_labelled(path: Path, name: str, templates: TemplateIndex) -> LabelledTemplates:
    line, header = next(read_lines(path))
    titles = [title.strip(b' \t"').lower() for title in header.split(b",")]
    missing = [name for name in ("template_id", "subject_id") if titles.count(name.encode()) != 1]
    if missing:
        raise format_error(
            path,
            line,
            f"expected a header with the columns template_id and subject_id, as in "
            f"TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT, got "
            f"{header[:60].decode('utf-8', errors='replace')!r}. Restore the header.",
        )
    of_template, of_subject = titles.index(b"template_id"), titles.index(b"subject_id")
    columns = [title.decode("utf-8", errors="replace") for title in titles]
    columns = columns[: max(of_template, of_subject) + 1]
    subjects: dict[int, tuple[int, int]] = {}
    for line, fields in read_fields(path, columns=columns, delimiter=",", more=True, header=True):
        template = whole_number(fields[of_template], path=path, line=line, name="template_id")
        subject = whole_number(fields[of_subject], path=path, line=line, name="subject_id")
        known, before = subjects.setdefault(template, (subject, line))
        if known != subject:
            raise format_error(
                path,
                line,
                f"template {template} shows subject {subject} here and subject {known} in line "
                f"{before}. Download the file again.",
            )
    ids = np.array(sorted(subjects), dtype=np.int32)
    positions = templates.positions(ids)
    if positions.min() < 0:
        unknown = [int(template) for template in ids[positions < 0]]
        first = min(unknown, key=lambda template: subjects[template][1])
        raise format_error(
            path,
            subjects[first][1],
            f"template {first} has no image in the list of images ({len(unknown)} such templates). "
            f"Take all files from one copy.",
        )
    return LabelledTemplates(
        name=name,
        templates=positions,
        subjects=np.array([subjects[int(template)][0] for template in ids], dtype=np.int32),
    )
