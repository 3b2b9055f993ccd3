"""What all routes share: galleries, models, decoder, sessions, the trail of accesses."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from probefusion.errors import EmptySetError, FileFormatError, UnknownNameError
from probefusion.faces import Detector, SkippedImage
from probefusion.faces.image_header import pixel_size
from probefusion.gallery import Gallery
from probefusion.pipeline import Fused, Pipeline
from probefusion.pipeline.chosen_embedder import stated_fingerprint
from probefusion.pipeline.inputs import Picture
from probefusion.screening import screen
from probefusion.screening.verdict import FEWEST_IMAGES
from probefusion.service.answers import skipped_facts
from probefusion.service.bodies import ImageFile, Query, SessionImages, decoded
from probefusion.service.decoding import ImageDecoder
from probefusion.service.guards.access import AccessFile, AccessKey, Role
from probefusion.service.guards.access_log import AccessLog
from probefusion.service.guards.refusals import UNKNOWN, Refusals
from probefusion.service.problems import Refusal, refusal_at
from probefusion.service.settings import ServiceSettings
from probefusion.service.shared.opening import open_shared
from probefusion.service.targets import Changes, Target
from probefusion.types import EmbeddingSet
from probefusion.types.revisions import remedy
from probefusion.zoo import DEFAULT_EMBEDDER, load_detector

__all__ = ["Hub", "owner_of"]

_log = logging.getLogger("probefusion.service")

_REASONS = 3
_REVISIONS = 10


class Hub(Changes):
    """Opened when the service starts, closed when it ends.

    Args:
        settings: Of the service.

    Raises:
        ProbeFusionError: If a gallery, a model or a file cannot be opened.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.access = None if settings.access_file is None else AccessFile(settings.access_file)
        self.log = AccessLog(settings.access_log)
        self.refusals = Refusals(self.log)
        self.decoder = ImageDecoder(settings.limits)
        self.galleries = {
            name: Gallery(
                settings.gallery,
                name,
                fuser=settings.fuser,
                keep=settings.keep,
                keys=settings.master_key,
                key_file=settings.key_file,
                num_threads=settings.num_threads,
            )
            for name in settings.collections
        }
        detector: str | Detector | None = settings.detector
        if settings.detector is not None and not settings.knows_stance:
            detector = load_detector(settings.detector, knows_stance=False)
        self._pipeline = Pipeline(
            settings.embedder,
            detector=detector,
            aligned=settings.detector is None,
            fuser=settings.fuser,
            num_threads=settings.num_threads,
            keep_chips=settings.keep == "features",
        )
        if settings.embedder is not None:
            _ = self._pipeline.embedder  # what was named and cannot be loaded shows now
        if settings.detector is not None:
            _ = self._pipeline.detector
        self._tell_other_embedders()
        self._decoding, self._fusing = threading.Lock(), threading.Lock()
        self.shared = open_shared(settings, next(iter(self.galleries.values())))
        self.sessions, self.rates = self.shared.sessions, self.shared.rates

    def _tell_other_embedders(self) -> None:
        """Warns of galleries of another embedder than that for images, which will all be refused."""
        now = stated_fingerprint(self.settings.embedder or DEFAULT_EMBEDDER)
        for name, gallery in self.galleries.items():
            models = gallery.models()
            made_by = next((each.embedder for each in models if each.status == "serving"), None)
            if made_by is not None and now not in {each.embedder for each in models}:
                step = remedy(made_by, now, f"Name {made_by}: --embedder.")
                _log.warning(
                    "collection %s is of %s, images that come are embedded by %s and refused, embeddings are taken. %s",
                    name, made_by, now, step,
                )  # fmt: skip

    def close(self) -> None:
        """Lets go of everything."""
        self.decoder.close()
        self.refusals.close()
        self.log.close()
        self.shared.close()
        for gallery in self.galleries.values():
            gallery.close()

    def is_known(self, authorization: str) -> bool:
        """Whether an Authorization header names a valid key; everybody is known where there are no keys."""
        return self.access is None or self._key_of(authorization) is not None

    def caller_of(self, authorization: str) -> tuple[str, str | None]:
        """Id of the valid key of a header, or "unknown"; and the id that a wrong one names, if there is such a key."""
        key = self._key_of(authorization)
        if key is not None:
            return key.id, None
        token = authorization.partition(" ")[2].strip()
        return UNKNOWN, None if self.access is None else self.access.named(token)

    def may_repeat(self, authorization: str, target: Target, address: str) -> bool:
        """As `Changes.may_repeat`."""
        if self.access is None:
            return self.rates.seconds_to_wait(address) == 0
        key = self._key_of(authorization)
        role: Role = "write" if target.collection else "read"
        if key is None or not key.allows(role, target.collection or None):
            return False
        return self.rates.seconds_to_wait(key.id) == 0

    def revision_of(self, authorization: str, target: Target) -> int | None:
        """As `Changes.revision_of`; of a session its number of images."""
        if target.collection:
            gallery = self.galleries.get(target.collection)
            return None if gallery is None else gallery.revision
        if not target.session:
            return 0
        try:
            return self.sessions.get(target.session, self._owner(authorization)).num_images
        except Refusal:
            return None

    def has_forgotten_since(self, target: Target, revision: int) -> bool:
        """As `Changes.has_forgotten_since`."""
        gallery = self.galleries.get(target.collection)
        if gallery is None:
            return False
        with gallery.store.reading(target.collection) as reader:
            return any(True for _ in reader.changes(after=revision, actions=("forget",)))

    def changes_since(self, authorization: str, target: Target, revision: int) -> str:
        """As `Changes.changes_since`."""
        if not target.collection:
            number = self.revision_of(authorization, target) or 0
            return f"the session got {number - revision} images" if number > revision else ""
        store, owner = self.galleries[target.collection].store, self._owner(authorization)
        with store.writing(target.collection) as writer:  # once others are done
            changes = writer.changes(after=revision)
            made = [str(change.revision) for change in changes if change.actor == owner]
        return f"revisions {', '.join(made[:_REVISIONS])}" if made else ""

    def _owner(self, authorization: str) -> str:
        return owner_of(self._key_of(authorization))

    def _key_of(self, authorization: str) -> AccessKey | None:
        scheme, _, token = authorization.partition(" ")
        if self.access is None or scheme.lower() != "bearer":
            return None
        return self.access.find(token.strip())

    def gallery(self, collection: str, actor: str, *, at_revision: int | None = None) -> Gallery:
        """A collection, for one who acts, also only while it has a revision.

        Raises:
            UnknownNameError: If it is not served.
        """
        if collection not in self.galleries:
            raise UnknownNameError("collection", collection, self.galleries)
        return self.galleries[collection].acting_as(actor, at_revision=at_revision)

    def material(self, query: Query, owner: str) -> Any:
        """What a query holds, as a gallery and `fuse` take it; images are fused, and say what was left out.

        Raises:
            Refusal: If the query has not one form, there is no such session, or there are too many images.
            ProbeFusionError: If no image can be used.
        """
        form = query.form()
        if form == "embeddings" and query.embeddings is not None:
            return self._few(query.embeddings.to_set(), query.embeddings.place)
        if form == "state":
            return query.to_state()
        if form == "template" and query.template is not None:
            return query.template.to_template()
        if form == "session":
            return self.sessions.get(query.session or "", owner).images()
        with self._alone(self._decoding):
            pictures, skipped = self._pictures(query.images or [], f"{query.place}/images")
            if not pictures:
                reasons = "; ".join(item.reason for item in skipped[:_REASONS])
                raise refusal_at(FileFormatError(reasons), f"{query.place}/images")
            fused = self._pipeline.fuse(pictures)
        return replace(fused, skipped=(*skipped, *fused.skipped))

    def told_of(self, what: Any) -> dict[str, Any]:
        """What there is to tell of a query beside the answer: images left out, and whether they are of one person."""
        if isinstance(what, Fused):
            return {"skipped": skipped_facts(what.skipped), "problems": what.problems}
        if not isinstance(what, EmbeddingSet) or what.num_images < FEWEST_IMAGES:
            return {}
        screening = screen(what, self._pipeline.choose_fuser([what]))
        return {"problems": (str(screening),) if screening.falls_apart else ()}

    @staticmethod
    def problems_of(what: Any) -> tuple[str, ...]:
        """What there is to warn of in images that were fused; () for anything else, which the gallery looks at."""
        return what.problems if isinstance(what, Fused) else ()

    def to_keep(self, query: Query, owner: str, *, keep_chips: bool) -> Any:
        """What a query holds, for a gallery to keep: without small pictures of the faces unless they are asked for."""
        what = self.material(query, owner)
        if keep_chips:
            return what
        if isinstance(what, EmbeddingSet):
            return replace(what, chips=None)
        if isinstance(what, Fused) and what.images is not None:
            return replace(what, images=replace(what.images, chips=None))
        return what

    def fuse(self, what: Any) -> Fused:
        """One template of images, embeddings or a state."""
        with self._alone(self._fusing):
            return self._pipeline.fuse(what)

    def compare(self, first: Any, second: Any, **rates: Any) -> Any:
        """Whether two sets are of one person, as `Pipeline.compare` says."""
        with self._alone(self._fusing):
            return self._pipeline.compare(first, second, **rates)

    def embed(
        self, body: SessionImages
    ) -> tuple[tuple[EmbeddingSet, ...], tuple[SkippedImage, ...]]:
        """What came in as sets, and what was left out; () where nothing can be used.

        Raises:
            Refusal: If neither or both of images and embeddings are given, or too many.
            ProbeFusionError: If embeddings are none.
        """
        if (body.images is None) == (body.embeddings is None):
            raise Refusal(422, "expected images or embeddings, got both or neither.", code="field")
        if body.embeddings is not None:
            return (self._few(body.embeddings.to_set(), body.embeddings.place),), ()
        with self._alone(self._decoding):
            pictures, skipped = self._pictures(body.images or [], "/images")
            if not pictures:
                return (), tuple(skipped)
            try:
                person = self._pipeline.read_sets(pictures, strangers="no-screening")
            except EmptySetError as error:
                return (), (*skipped, SkippedImage(source="images", reason=str(error)))
        return person.sets, (*skipped, *person.skipped)

    def _pictures(
        self, files: Sequence[ImageFile], field: str
    ) -> tuple[list[Picture], list[SkippedImage]]:
        self._check_number(len(files), field)
        contents = [
            decoded(file.base64, f"{field}/{place}/base64") for place, file in enumerate(files)
        ]
        self._check_pixels(contents, field)
        pictures, skipped = [], []
        begun = time.monotonic()
        for place, (file, content) in enumerate(zip(files, contents, strict=True)):
            name = file.name or f"image {place}"
            if time.monotonic() - begun > self.settings.limits.request_seconds:
                raise _too_slow(f"after {place} of {len(files)} images. Send fewer at a time.")
            try:
                pixels = self.decoder.decode(name, content)
            except FileFormatError as error:
                skipped.append(SkippedImage(source=name, reason=str(error)))
                continue
            pictures.append(Picture(name=name, pixels=pixels))
        return pictures, skipped

    @contextmanager
    def _alone(self, turn: threading.Lock) -> Iterator[None]:
        """One request at a time decodes and embeds, so that the images of one alone are in memory; and one fuses.

        Raises:
            Refusal: If the others take too long.
        """
        if not turn.acquire(timeout=self.settings.limits.request_seconds):
            raise _too_slow("while others were worked on. Try again later.")
        try:
            yield
        finally:
            turn.release()

    def _check_pixels(self, contents: Sequence[bytes], field: str) -> None:
        """Looks at the headers, before anything is decoded."""
        limits = self.settings.limits
        pixels = 0
        for content in contents:
            size = pixel_size(content)
            pixels += min(limits.max_pixels, limits.max_pixels if size is None else math.prod(size))
        if pixels > limits.max_request_pixels and len(contents) > 1:
            detail = (
                f"{field}: expected at most {limits.max_request_pixels:,} pixels in all, got {pixels:,}. Send fewer "
                f"images at a time, to a session."
            )
            raise Refusal(422, detail, code="field", field=field)

    def _few(self, images: EmbeddingSet, field: str) -> EmbeddingSet:
        self._check_number(images.num_images, field)
        return images

    def _check_number(self, number: int, field: str) -> None:
        most = self.settings.limits.max_images
        if not 0 < number <= most:
            detail = f"{field}: expected 1 to {most} images, got {number}."
            raise Refusal(422, detail, code="field", field=field)


def owner_of(key: AccessKey | None) -> str:
    """Whose changes and sessions are whose."""
    return "local" if key is None else key.id


def _too_slow(what: str) -> Refusal:
    detail = f"the time for a request was over {what}"
    return Refusal(503, detail, code="busy", headers={"Retry-After": "5"})
