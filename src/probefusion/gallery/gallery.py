"""`Gallery`: people who are known, for years."""

from __future__ import annotations

from probefusion.gallery.verbs.arranging import Arranging
from probefusion.gallery.verbs.chips import Chips
from probefusion.gallery.verbs.enrolling import Enrolling
from probefusion.gallery.verbs.explanation import Explaining
from probefusion.gallery.verbs.forgetting import Forgetting
from probefusion.gallery.verbs.kept_images import KeptImages
from probefusion.gallery.verbs.loading import Loading
from probefusion.gallery.verbs.marking import Marking
from probefusion.gallery.verbs.plain_people import PlainPeople
from probefusion.gallery.verbs.searching import Searching
from probefusion.gallery.verbs.templates import Templates
from probefusion.gallery.verbs.undoing import Undoing
from probefusion.gallery.verbs.versions import Versions

__all__ = ["Gallery"]


class Gallery(
    Enrolling,
    Chips,
    Searching,
    Explaining,
    Arranging,
    Marking,
    Undoing,
    Versions,
    Forgetting,
    Loading,
    PlainPeople,
    KeptImages,
    Templates,
):
    """A collection of people, each a list of contributions, with one template each.

    Every visit adds to the template, and every change but forgetting can be taken back exactly (what `compact` put
    together no longer image by image). Several processes and threads may use one gallery at once: each sees what the
    others wrote.

    Args:
        address: Path of an SQLite file, or `postgresql://...`; made if it is not there.
        collection: Name of the collection in it; people of different collections never meet.
        fuser: Name or folder of a fuser, or a fuser; "auto" takes the one of the collection, or for the first images
            the best that fits them.
        embedder: By your word what made the embeddings that do not say it: fingerprint, name, file or embedder.
        keep: "features" keeps what every image says of the person, in half precision: single images can be taken out,
            people split, the gallery moved to another fuser. "state" keeps the sums over each contribution alone.
        keys: The master key or its file; None looks at PROBEFUSION_MASTER_KEY. With a master key all features, states,
            templates, names and sources are encrypted, from the first use of the database on.
        key_file: Where the keys that the master key wraps lie; None is beside the SQLite file (`NAME.db.keys`).
        actor: Who makes changes, for history and audit trail.
        create: Whether to make what is not there.
        calibration: A calibration to decide by, or its file; None takes that of the fuser, if there is one.
        kernel: How is searched: "auto", "float32" or "int8"; all give the same results.
        num_threads: Threads of the fuser; None for one per core.
        timeout: Seconds to wait for other writers.
        clock: Gives the time; None takes that of the machine. No order depends on it.

    Raises:
        MissingFileError: If the database is not there and is not to be made.
        ConfigError: If a setting is out of range; if keys are missing, or given for a database without them.
        FuserMismatchError: If the collection is by another fuser.
        UnknownNameError: If there is no such collection and it is not to be made.
        ProbeFusionError: If the database cannot be opened.

    Example:
        >>> import numpy as np
        >>> gallery = Gallery(getfixture("tmp_path") / "people.db", fuser="mean")
        >>> ann, bob = np.eye(4, 64)[:2], np.eye(4, 64)[2:]
        >>> print(gallery.enroll("ann", ann))
        ann: 2 images added, 2 in all
        >>> print(gallery.enroll("bob", bob))
        bob: 2 images added, 2 in all
        >>> print(gallery.search(ann[0], threshold=0.5))
        ann 0.707 (match)
        >>> gallery.remove("ann"), gallery.list()
        (3, ('bob',))
        >>> gallery.undo(), gallery.list()
        (4, ('ann', 'bob'))
        >>> gallery.close()
    """
