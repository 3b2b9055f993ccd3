"""Whose is what: merging, splitting, moving, removing, and what is known of people beside their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from probefusion.errors import (
    ConfigError,
    ConflictError,
    OutputExistsError,
    UnknownNameError,
    UnsupportedOperationError,
)
from probefusion.gallery.argument_checks import check_count, check_ids
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.changes.edits import can_be_undone, undo_edits
from probefusion.gallery.changes.erasing import labelled
from probefusion.gallery.contributions.contribution_rows import check_may_merge
from probefusion.gallery.contributions.models import serving
from probefusion.gallery.core import GalleryCore, check_new_name
from probefusion.gallery.stores.records import ChangeRow, ContributionRow, ImageRow
from probefusion.gallery.stores.store import Reader
from probefusion.screening import screen
from probefusion.types import EmbeddingSet

__all__ = ["Arranging"]

_LISTED = 50
"""Changes that a message names."""

_NOT_UNDONE = {
    "forget": "what was forgotten is erased",
    "compact": "the images were erased, their sums are left",
    "receipt": "it notes what became of a request to forget",
    "add model": "take the model away with drop_model",
    "drop model": "add the model again with add_model",
    "embed anew": "it only added what another model needs",
    "fuse anew": "it only worked out templates",
}


class Arranging(GalleryCore):
    """The part of `Gallery` that changes whose is what. All of it can be undone."""

    def merge(self, name: str, other: str) -> int:
        """Gives all that one person has to another, who is the same.

        Args:
            name: The person who stays.
            other: The person who is merged into the first, and is not shown any more.

        Returns:
            The revision of the change; `undo` of it separates the two again.

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
            for row in change.writer.contributions(second.id):
                change.place(row.id, first.id)
            change.put_person(replace(second, shown=False))
            change.take_over(first, second)
            return change.revision

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
                change.place(self._own(change.writer, item, person.id).id, new.id)
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
        """
        contributions = check_ids(contributions, "contributions")
        images = check_ids(images, "images")
        if not contributions and not images:
            raise ConfigError("move: expected ids of contributions or images, got none.")
        with self._changing("move") as change:
            person = self._person(change.writer, to)
            for item in contributions:
                change.place(_contribution(change.writer, item).id, person.id)
            self._move_images(change, images, person.id)
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
                row = _contribution(change.writer, contribution)
                if row.person_id is None:
                    raise ConfigError(f"contribution {row.id}: nobody has it already.")
                change.place(row.id, None)
            else:
                found = _image(change.writer, str(image))
                if found.left_out:
                    raise ConfigError(f"image {found.id}: it is taken out already.")
                change.leave_out(found, True)
            return change.revision

    def rename(self, name: str, new_name: str) -> int:
        """Gives a person another name; returns the revision of the change.

        Raises:
            UnknownNameError: If there is no such person.
            OutputExistsError: If the new name is taken.
        """
        new_name = check_new_name(new_name, "new_name")
        with self._changing("rename") as change:
            person = self._person(change.writer, name)
            other = change.writer.person_named(new_name)
            if other is not None and other.id != person.id:
                raise OutputExistsError(
                    f"{new_name!r} is in {self.collection!r} already. Merge the two, or choose another name."
                )
            change.put_person(replace(person, name=new_name))
            return change.revision

    def ignore(self, name: str, is_ignored: bool = True) -> int:
        """Notes that matches with a person are not to be acted on, or are again; returns the revision.

        Raises:
            UnknownNameError: If there is no such person.
        """
        with self._changing("ignore" if is_ignored else "heed") as change:
            change.put_person(replace(self._person(change.writer, name), ignored=is_ignored))
            return change.revision

    def cannot_link(self, name: str, other: str, are_different: bool = True) -> int:
        """Notes that two people are different, so that nobody merges them; returns the revision.

        Args:
            name: One.
            other: The other.
            are_different: False takes the note back.

        Raises:
            UnknownNameError: If one is not there.
            ConfigError: If both are one.
        """
        with self._changing("cannot link" if are_different else "may link") as change:
            first, second = (self._person(change.writer, who) for who in (name, other))
            if first.id == second.id:
                raise ConfigError(f"cannot_link: expected two people, got {first.name!r} twice.")
            change.link(first.id, second.id, are_different)
            return change.revision

    def undo(self, revision: int | None = None) -> int:
        """Takes a change back, exactly: the templates are the same, bit for bit, as if it had not been made.

        Args:
            revision: Of the change; None takes the newest that was not undone and undoes nothing itself. A change that
                undid another can be undone as well.

        Returns:
            The revision of this change.

        Raises:
            UnknownNameError: If there is no such change.
            ConflictError: If a later change stands in the way, naming it; if it was undone already.
            UnsupportedOperationError: If it cannot be undone, as forgetting.
        """
        with self._changing("undo") as change:
            row = _change(change.writer, revision)
            if row.action in _NOT_UNDONE:
                raise UnsupportedOperationError(
                    f"undo: change {row.revision} ({row.action}) cannot be undone: {_NOT_UNDONE[row.action]}."
                )
            if row.undone_by is not None:
                raise _undone(row.revision, row.undone_by)
            if not can_be_undone(change.writer, row):
                raise UnsupportedOperationError(
                    f"undo: change {row.revision} ({row.action}) cannot be undone: it changed nothing, or what it "
                    f"replaced was forgotten."
                )
            change.subjects.update(dict.fromkeys(row.subjects))
            change.note_edits(undo_edits(change.writer, row))
            change.undoes = row.revision
            change.writer.put_change(replace(row, undone_by=change.revision))
            if row.undoes is not None:
                undone = change.writer.change(row.undoes)
                if undone is not None:
                    change.writer.put_change(replace(undone, undone_by=None))
            return change.revision

    def _own(self, reader: Reader, item: str, person_id: str) -> ContributionRow:
        row = _contribution(reader, item)
        if row.person_id != person_id:
            raise UnknownNameError(
                "contribution of the person",
                item,
                [row.id for row in reader.contributions(person_id)],
            )
        return row

    def _move_images(
        self, change: Changing, images: Sequence[str], to: str, owner: str | None = None
    ) -> None:
        """Gives single images away: a new contribution for each that they come from, which then lacks them."""
        by_contribution: dict[str, list[ImageRow]] = {}
        for item in dict.fromkeys(images):
            image = _image(change.writer, item)
            row = _contribution(change.writer, image.contribution_id)
            if owner is not None:
                self._own(change.writer, row.id, owner)
            if image.left_out:
                raise ConfigError(f"image {image.id}: it was taken out. Undo that first.")
            by_contribution.setdefault(row.id, []).append(image)
        for contribution_id, group in by_contribution.items():
            row = _contribution(change.writer, contribution_id)
            group.sort(key=lambda image: image.place)
            places = [image.place for image in group]
            new = None
            for embedder in dict.fromkeys(model.embedder for model in change.writer.models()):
                kept = self._parts.kept(change.writer, row, embedder)
                if not isinstance(kept, EmbeddingSet):
                    continue
                part = kept[places]
                if new is None:
                    labels = labelled(part, group)
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


def _contribution(reader: Reader, item: str) -> ContributionRow:
    row = reader.contribution(item)
    if row is None:
        raise UnknownNameError("contribution", item, ())
    return row


def _image(reader: Reader, item: str) -> ImageRow:
    row = reader.image(item)
    if row is None:
        raise UnknownNameError("image", item, ())
    return row


def _left(reader: Reader, row: ContributionRow) -> bool:
    images = reader.images(row.id)
    return not images or not all(image.left_out for image in images)


def _change(reader: Reader, revision: int | None) -> ChangeRow:
    if revision is not None:
        wanted = check_count(revision, "revision")
        row = reader.change(wanted)
        if row is None:
            newest = islice(reader.changes(newest_first=True), _LISTED)
            raise UnknownNameError("change", str(wanted), (str(row.revision) for row in newest))
        return row
    for row in reader.changes(newest_first=True):
        is_open = row.undone_by is None and row.undoes is None and row.action not in _NOT_UNDONE
        if is_open and (row.edits or row.action == "reject"):
            return row
    raise UnknownNameError("change", "that can be undone", ())


def _undone(revision: int, by: int) -> ConflictError:
    return ConflictError(
        f"undo: change {revision} was undone already by change {by}. To make it again, undo change {by}."
    )
