"""A table of attributes for an evaluation: read at the start, matched with whom the protocol tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from probefusion.errors import ConfigError

if TYPE_CHECKING:
    from probefusion.evaluation.attributes import AttributeMeter
    from probefusion.evaluation.measuring import RatePlan
    from probefusion.io.attribute_table import AttributeTable, Owner
    from probefusion.protocols.degraded_folder import DegradedFolderProtocol
    from probefusion.protocols.licensed import Benchmark
    from probefusion.protocols.media_protocol import MediaFolderProtocol

__all__ = ["AttributesAsked"]

_BENCHMARK_REPLICATES = 1000


class AttributesAsked:
    """The table that was given, or none; makes the meters of the protocols.

    Args:
        path: The table; None where no attributes are asked for.
        columns: The attributes that are taken, () for all.

    Raises:
        ConfigError: If columns are named and no table.
        MissingFileError, FileFormatError, UnknownNameError: As for `open_attribute_table`.
    """

    def __init__(self, path: str | os.PathLike[str] | None, columns: Sequence[str]) -> None:
        from probefusion.io.attribute_table import open_attribute_table

        if isinstance(columns, str):
            columns = (columns,)
        if path is None and columns:
            raise ConfigError(
                "attribute_columns: name columns of attributes, and no table of them is given. Give it: "
                "--attributes FILE.csv (attributes=...)."
            )
        self.table: AttributeTable | None = None
        if path is not None:
            self.table = open_attribute_table(os.fspath(path), columns=columns)

    def of_folder(self, protocol: DegradedFolderProtocol, plan: RatePlan) -> AttributeMeter | None:
        """For the people of degraded-folder's gallery.

        Raises:
            ConfigError: If the table is one of images or templates.
            InvalidInputError: As for `match_attributes`.
        """
        if self.table is None:
            return None
        self._check_owner(("person",), "degraded-folder, which degrades the images itself")
        names = [entry.subject_id for entry in protocol.gallery]
        return _meter(self.table, names, list(protocol.people.images), plan)

    def of_media(
        self, protocol: MediaFolderProtocol, everybody: dict[str, Any], plan: RatePlan
    ) -> AttributeMeter | None:
        """For the images of media-folder.

        Args:
            protocol: The protocol.
            everybody: All people of the data and their images, those too who are not tested.
            plan: At which rates.

        Raises:
            ConfigError: If the table is one of templates.
            InvalidInputError: As for `match_attributes`.
        """
        if self.table is None:
            return None
        self._check_owner(("person", "image"), "media-folder")
        if self.table.owner == "image":
            names = list(protocol.sources)
            everything = [name for images in everybody.values() for name in images]
        else:
            owners = {name: person for person, mine in everybody.items() for name in mine}
            names, everything = [owners[name] for name in protocol.sources], list(everybody)
        return _meter(self.table, names, everything, plan, average_per_person=True)

    def of_benchmark(self, benchmark: Benchmark) -> AttributeMeter | None:
        """For the templates of a benchmark's pairs.

        Raises:
            ConfigError: If the table is one of images, or the benchmark has no pairs.
            InvalidInputError: As for `match_attributes`.
        """
        from probefusion.evaluation.measuring import RatePlan
        from probefusion.protocols.template_people import subjects_of_templates, template_names

        if self.table is None:
            return None
        self._check_owner(("person", "template"), benchmark.name)
        if benchmark.pairs is None:
            raise ConfigError(
                f"attributes: {benchmark.name} has no one-to-one comparisons, by which errors are counted. Leave "
                f"them out."
            )
        is_person = self.table.owner == "person"
        names = subjects_of_templates(benchmark) if is_person else template_names(benchmark)
        rates = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
        plan = RatePlan(
            false_accept_rates=rates,
            decision_rate=1e-4,
            false_positive_rates=(),
            num_replicates=_BENCHMARK_REPLICATES,
        )
        return _meter(self.table, names, (), plan)

    def _check_owner(self, owners: Sequence[Owner], protocol: str) -> None:
        if self.table is not None and self.table.owner not in owners:
            raise ConfigError(
                f"attributes {self.table.origin}: expected a table by {' or by '.join(owners)} for {protocol}, "
                f"got one by {self.table.owner}. Give one with a row for each {' or '.join(owners)}."
            )


def _meter(
    table: AttributeTable,
    names: Sequence[str],
    everything: Sequence[str],
    plan: RatePlan,
    *,
    average_per_person: bool = False,
) -> AttributeMeter:
    from probefusion.evaluation.attribute_match import match_attributes
    from probefusion.evaluation.attributes import AttributeMeter

    matched = match_attributes(table, names, everything=everything)
    return AttributeMeter(matched, plan, average_per_person=average_per_person)
