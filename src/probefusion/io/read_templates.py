"""Files of one template or of many, and one of many by its id: `templates.parquet#alice`."""

from __future__ import annotations

from pathlib import Path

from probefusion.errors import FileFormatError
from probefusion.files import as_path
from probefusion.io.sniff import kind_of
from probefusion.types import Template, TemplateSet

__all__ = ["read_templates", "split_id"]


def split_id(name: str | Path) -> tuple[str, str | None]:
    """Splits `FILE#ID` into the file and the id; the id is None where there is none.

    A file whose name holds a `#` is taken whole if it exists; an id may hold one too. Where no file
    of such a name exists, nothing is split.
    """
    text = str(as_path(name, "templates"))
    place = text.find("#")
    while place > 0 and not Path(text).exists():
        if Path(text[:place]).is_file():
            return text[:place], text[place + 1 :]
        place = text.find("#", place + 1)
    return text, None


def read_templates(name: str | Path) -> Template | TemplateSet:
    """Reads `FILE`, of one template or of many, or `FILE#ID`, one of many.

    Args:
        name: `.npz` of `Template.save`; `.npz` or `.parquet` of `TemplateSet.save` or `fuse_archive`;
            or such a file of many, `#`, and an id.

    Returns:
        The template where the file holds one or an id is given, else the set of all.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it holds no templates, or an id is given for a file that has none.
        UnknownNameError: If there is no template of that id.
        MissingExtraError: If it is a Parquet file and pyarrow is not installed.
    """
    file, wanted = split_id(name)
    kind = kind_of(file)
    if kind == "templates":
        templates = TemplateSet.load(file)
        if wanted is None:
            return templates if len(templates) > 1 else templates[next(iter(templates))]
        return templates[wanted]
    if wanted is not None:
        raise FileFormatError(
            f"{name}: expected a file of templates with ids before the '#', got a file of kind {kind!r}. "
            f"Leave #{wanted} out."
        )
    if kind != "template":
        raise FileFormatError(f"{name}: expected a file of templates, got a file of kind {kind!r}.")
    return Template.load(file)
