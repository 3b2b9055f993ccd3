"""Names of what an archive holds: where it would lie if it were unpacked."""

from __future__ import annotations

import re

__all__ = ["odd_name", "odd_zip_name", "plain_name"]

_TOP = re.compile(r"\A/*(\./+)*")


def plain_name(name: str) -> str:
    """A name without what says only that it begins at the top.

    Example:
        >>> plain_name("./anna/1.jpg"), plain_name("/anna/1.jpg")
        ('anna/1.jpg', 'anna/1.jpg')
    """
    return _TOP.sub("", name)


def odd_name(name: str) -> str | None:
    """Why a member of an archive is not read: no file can have its name where it is unpacked, or it leads out of there.

    Args:
        name: The name as the archive spells it.

    Returns:
        The reason, or None.
    """
    if ".." in name.split("/") or "\0" in name:
        return "a name with '..' or a zero character, which leads out of the archive or to no file: pack it anew"
    return None


def odd_zip_name(name: str) -> str | None:
    r"""Why a member of a zip archive is not read: its name does not tell which folder it lies in.

    Args:
        name: The name as the archive spells it.

    Returns:
        The reason, or None.

    Example:
        >>> odd_zip_name("anna/1.jpg") is None, odd_zip_name("anna\\1.jpg")[:21]
        (True, 'a name with a backsla')
    """
    if "\\" in name:
        return (
            "a name with a backslash, by which some packers of Windows mean a folder, against the rules of zip "
            "archives: pack it anew"
        )
    return odd_name(name)
