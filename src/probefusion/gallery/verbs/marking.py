"""What is known of people beside their images: the name, whether matches count, who is somebody else."""

from __future__ import annotations

from dataclasses import replace

from probefusion.errors import ConfigError, OutputExistsError
from probefusion.gallery.argument_checks import check_flag
from probefusion.gallery.core import GalleryCore, check_new_name

__all__ = ["Marking"]


class Marking(GalleryCore):
    """The part of `Gallery` that notes things about people. All of it can be undone."""

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
            DtypeError: If `is_ignored` is neither True nor False.
            UnknownNameError: If there is no such person.
        """
        is_ignored = check_flag(is_ignored, "is_ignored")
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
            DtypeError: If `are_different` is neither True nor False.
        """
        are_different = check_flag(are_different, "are_different")
        with self._changing("cannot link" if are_different else "may link") as change:
            first, second = (self._person(change.writer, who) for who in (name, other))
            if first.id == second.id:
                raise ConfigError(f"cannot_link: expected two people, got {first.name!r} twice.")
            change.link(first.id, second.id, are_different)
            return change.revision
