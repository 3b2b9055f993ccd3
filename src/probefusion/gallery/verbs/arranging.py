"""Whose is what: merging, splitting, moving, removing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from probefusion.errors import ConfigError, ConflictError, OutputExistsError
from probefusion.gallery.argument_checks import check_ids
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.changes.erasing import labelled
from probefusion.gallery.contributions.contribution_rows import check_may_merge
from probefusion.gallery.contributions.models import serving
from probefusion.gallery.contributions.sums import add_up
from probefusion.gallery.core import GalleryCore, check_new_name
from probefusion.gallery.results import Likeness, Merged
from probefusion.gallery.stores.records import ContributionRow, ImageRow, LinkRow, PersonRow
from probefusion.gallery.stores.store import Reader, Writer
from probefusion.gallery.verbs.likeness import likeness_of
from probefusion.gallery.verbs.named_rows import contribution_of, image_of
from probefusion.screening import screen
from probefusion.types import EmbeddingSet

__all__ = ["Arranging"]


class Arranging(GalleryCore):
    """The part of `Gallery` that changes whose is what. All of it can be undone."""

    def merge(self, name: str, other: str) -> Merged:
        """Gives all that one person has to another, who is the same.

        Args:
            name: The person who stays.
            other: The person who is merged into the first, and is not shown any more.

        Returns:
            The revision, which `undo` takes to separate the two again; and how alike they were, for whom it concerns.

        Raises:
            UnknownNameError: If there is no such person.
            ConfigError: If both are one.
            ConflictError: If they are known to be different.
        """
        with self._changing("merge") as change:
            first, second = (self._person(change.writer, who) for who in (name, other))
            if first.id == second.id:
                raise ConfigError(f"merge: expected two people, got {first.name!r} twice.")
            check_may_merge(change.writer, first, second)
            change.subjects[first.id] = None
            likeness = self._likeness(change.writer, first, second)
            for row in change.writer.contributions(second.id):
                change.place(row.id, first.id)
            change.put_person(replace(second, shown=False))
            change.take_over(first, second)
            return Merged(
                person_id=first.id,
                name=first.name,
                other=second.name,
                revision=change.revision,
                likeness=likeness,
            )

    def split(
        self,
        name: str,
        into: str,
        *,
        contributions: Sequence[str] = (),
        images: Sequence[str] = (),
    ) -> int:
        """Gives some of what a person has to a new person.

        Args:
            name: The person.
            into: Name of the new person.
            contributions: Ids of contributions to give.
            images: Ids of single images to give. With neither, the images are screened: the part that seems to be of
                somebody else is given.

        Returns:
            The revision of the change; `undo` of it puts all back.

        Raises:
            UnknownNameError: If the person, a contribution or an image is not there, or not the person's.
            OutputExistsError: If the new name is taken.
            ConfigError: If nothing would be given or left, or screening sees no second person.
        """
        into = check_new_name(into, "into")
        contributions = check_ids(contributions, "contributions")
        images = check_ids(images, "images")
        with self._changing("split") as change:
            person = self._person(change.writer, name)
            if change.writer.person_named(into) is not None:
                raise OutputExistsError(
                    f"{into!r} is in {self.collection!r} already. Use move, or another name."
                )
            if not contributions and not images:
                images = self._strangers_of(change.writer, person.id, person.name)
            new = change.new_person(into)
            for item in contributions:
                change.place(
                    contribution_of(change.writer, item, name="contributions", owner=person.id).id,
                    new.id,
                )
            self._move_images(change, images, new.id, owner=person.id)
            if not any(_left(change.writer, row) for row in change.writer.contributions(person.id)):
                raise ConfigError(
                    f"split: nothing would be left of {person.name!r}. Give fewer images, or rename the person."
                )
            return change.revision

    def move(
        self, to: str, *, contributions: Sequence[str] = (), images: Sequence[str] = ()
    ) -> int:
        """Gives contributions or single images to another person.

        Args:
            to: The person who gets them.
            contributions: Ids, also of what was taken out or held back.
            images: Ids of images.

        Returns:
            The revision of the change.

        Raises:
            UnknownNameError: If the person, a contribution or an image is not there.
            ConfigError: If nothing is named.
            ConflictError: If it is all that somebody has who is known to be different from that person.
        """
        contributions = check_ids(contributions, "contributions")
        images = check_ids(images, "images")
        if not contributions and not images:
            raise ConfigError("move: expected ids of contributions or images, got none.")
        with self._changing("move") as change:
            person = self._person(change.writer, to)
            rows = [
                contribution_of(change.writer, item, name="contributions") for item in contributions
            ]
            owners = _owners(change.writer, rows, images)
            for row in rows:
                change.place(row.id, person.id)
            self._move_images(change, images, person.id)
            for owner in owners:
                _check_not_all(change.writer, owner, person)
            return change.revision

    def remove(
        self,
        name: str | None = None,
        *,
        contribution: str | None = None,
        image: str | None = None,
    ) -> int:
        """Takes a person, a contribution or an image out of the templates. `undo` brings it back; `forget` erases.

        Args:
            name: The person.
            contribution: Or: the id of a contribution.
            image: Or: the id of an image.

        Returns:
            The revision of the change.

        Raises:
            UnknownNameError: If it is not there.
            ConfigError: If not exactly one of the three is named, or it is taken out already.
        """
        if sum(item is not None for item in (name, contribution, image)) != 1:
            raise ConfigError(
                "remove: expected a name, a contribution or an image, and one of them."
            )
        with self._changing("remove") as change:
            if name is not None:
                change.put_person(replace(self._person(change.writer, name), shown=False))
            elif contribution is not None:
                row = contribution_of(change.writer, contribution)
                if row.person_id is None:
                    raise ConfigError(f"contribution {row.id}: nobody has it already.")
                change.place(row.id, None)
            else:
                found = image_of(change.writer, cast(str, image))
                if found.left_out:
                    raise ConfigError(f"image {found.id}: it is taken out already.")
                change.leave_out(found, True)
            return change.revision

    def _move_images(
        self, change: Changing, images: Sequence[str], to: str, owner: str | None = None
    ) -> None:
        """Gives single images away: a new contribution for each that they come from, which then lacks them."""
        by_contribution: dict[str, list[ImageRow]] = {}
        for item in dict.fromkeys(images):
            image = image_of(change.writer, item, name="images")
            row = contribution_of(change.writer, image.contribution_id)
            if owner is not None:
                contribution_of(change.writer, row.id, owner=owner)
            if image.left_out:
                raise ConfigError(f"image {image.id}: it was taken out. Undo that first.")
            by_contribution.setdefault(row.id, []).append(image)
        for contribution_id, group in by_contribution.items():
            row = contribution_of(change.writer, contribution_id)
            group.sort(key=lambda image: image.place)
            places = [image.place for image in group]
            new = None
            for embedder in dict.fromkeys(model.embedder for model in change.writer.models()):
                kept = self._parts.kept(change.writer, row, embedder)
                if not isinstance(kept, EmbeddingSet):
                    continue
                part = kept[places]
                if new is None:
                    labels = labelled(part, group, self._parts.chips(change.writer, row, group))
                    new = change.add(
                        part,
                        person_id=to,
                        kind=row.kind,
                        source=row.source,
                        labels=labels,
                        time=row.time,
                    )
                else:
                    change.add_payload(new, part)
            if new is None:
                raise ConfigError(
                    f"contribution {row.id}: it keeps no images of a model that is there, so that none can be given "
                    f"away. Give the whole contribution, or add the model again: add_model."
                )
            for image in group:
                change.leave_out(image, True)

    def _likeness(self, reader: Reader, first: PersonRow, second: PersonRow) -> Likeness | None:
        model = serving(reader.models())
        if model is None:
            return None
        fuser = self._fusers.of(model)
        states = [
            add_up(self._parts.of_person(reader, person.id, model, fuser).parts)
            for person in (first, second)
        ]
        return likeness_of(states[0], states[1], fuser)

    def _strangers_of(self, reader: Reader, person_id: str, name: str) -> list[str]:
        """Ids of the images that seem to be of somebody else."""
        model = serving(reader.models())
        if model is None:
            raise ConfigError("split: the gallery is empty.")
        fuser = self._fusers.of(model)
        parts, ids = [], []
        for row in reader.contributions(person_id):
            kept = self._parts.kept(reader, row, model.embedder)
            if isinstance(kept, EmbeddingSet):
                rows = [image for image in reader.images(row.id) if not image.left_out]
                if rows:
                    parts.append(kept[[image.place for image in rows]])
                    ids += [image.id for image in rows]
        if not parts:
            raise ConfigError(f"split: {name!r} keeps no images. Name contributions to give away.")
        found = screen(EmbeddingSet.concatenate(parts), fuser)
        if not found.falls_apart:
            raise ConfigError(
                f"split: {name!r}: {found}. Name contributions or images to give away."
            )
        return [ids[row] for row in found.parts[1].rows]


def _owners(reader: Reader, rows: Sequence[ContributionRow], images: Sequence[str]) -> list[str]:
    """Ids of the people who have some contributions and images."""
    found = [row.person_id for row in rows]
    for item in images:
        image = image_of(reader, item, name="images")
        found.append(contribution_of(reader, image.contribution_id).person_id)
    return [owner for owner in dict.fromkeys(found) if owner is not None]


def _check_not_all(writer: Writer, owner_id: str, to: PersonRow) -> None:
    """Refuses to give all that somebody has to a person who is known to be different: that would be a merge.

    Raises:
        ConflictError: If nothing is left.
    """
    first, second = sorted((owner_id, to.id))
    if first == second or LinkRow(first=first, second=second) not in writer.links():
        return
    if any(_left(writer, row) for row in writer.contributions(owner_id)):
        return
    owner = writer.person(owner_id)
    named = owner_id if owner is None else owner.name
    raise ConflictError(
        f"move: nothing would be left of {named!r}, who is noted as another person than {to.name!r}. Move less; or "
        f"take that back first: cannot_link({named!r}, {to.name!r}, False)."
    )


def _left(reader: Reader, row: ContributionRow) -> bool:
    images = reader.images(row.id)
    return not images or not all(image.left_out for image in images)
