"""Names of a benchmark's templates, and whom they show, as far as its files tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.protocols.licensed import Benchmark

__all__ = ["subjects_of_templates", "template_names", "template_people"]


def template_names(benchmark: Benchmark) -> list[str]:
    """The name of each template, as the benchmark's files have it: its id, or the video."""
    return list(benchmark.template_names) or list(
        map(str, benchmark.templates.template_ids.tolist())
    )


def subjects_of_templates(benchmark: Benchmark) -> list[str]:
    """Whom each template shows: the person's name or subject id; "" where no file says it.

    The pairs of IJB-B and IJB-C name templates alone; whom they show stands in the tables of the searches.
    """
    if benchmark.person_of:
        return list(benchmark.person_of)
    subjects = [""] * len(benchmark.templates)
    for task in benchmark.searches:
        for side in (task.probes, *task.galleries):
            for template, subject in zip(
                side.templates.tolist(), side.subjects.tolist(), strict=True
            ):
                subjects[template] = str(subject)
    return subjects


def template_people(benchmark: Benchmark) -> npt.NDArray[np.int64]:
    """A number for each template, the same for all that are known to show one person.

    That is known of templates of one subject and of both templates of a mated pair. A template of which
    neither is known counts as a person of its own.

    Returns:
        (T,) int64.
    """
    count = len(benchmark.templates)
    parent = np.arange(count, dtype=np.int64)
    first: dict[str, int] = {}
    links = [
        (first.setdefault(subject, place), place)
        for place, subject in enumerate(subjects_of_templates(benchmark))
        if subject
    ]
    if benchmark.pairs is not None:
        mated = benchmark.pairs.mated
        links += zip(
            benchmark.pairs.first[mated].tolist(),
            benchmark.pairs.second[mated].tolist(),
            strict=True,
        )
    for one, other in links:
        one, other = _root(parent, one), _root(parent, other)
        parent[max(one, other)] = min(one, other)
    return np.array([_root(parent, place) for place in range(count)], dtype=np.int64)


def _root(parent: npt.NDArray[np.int64], place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = int(parent[place])
    return place
