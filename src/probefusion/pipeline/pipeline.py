"""`Pipeline`: photos, crops, embeddings and videos to templates, with one choice of models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.fusion import Fuser
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.compare import Comparison, Side, compare_many, compare_two, search_people
from probefusion.pipeline.decisions import Calibrated
from probefusion.pipeline.face_notes import told
from probefusion.pipeline.fuse_person import UnitProgress, fuse_person, read_sets
from probefusion.pipeline.inputs import Source
from probefusion.pipeline.results import FoundFace, Fused, FusedPeople
from probefusion.pipeline.strangers import Strangers
from probefusion.pipeline.videos import Extract, VideoSource, read_gallery, read_video, watch_source
from probefusion.types import EmbeddingSet, FusionState

if TYPE_CHECKING:
    from probefusion.embedders import Embedder, EmbeddingReport
    from probefusion.faces import Detector, ImageSource, SkippedImage
    from probefusion.gallery.stills import Stills
    from probefusion.pipeline.pictures import Photo
    from probefusion.types import TemplateSet
    from probefusion.video import Clip, VideoEvent, VideoSettings

__all__ = ["Pipeline"]


class Pipeline:
    """Everything from a photo, a folder or a video to templates, with one choice of models.

    Models are loaded when first needed, and once. Choices that were left to the pipeline (which embedder, which
    fuser) are noted in the log `probefusion` at level INFO. A pipeline and its detector are for one thread.

    Args:
        embedder: Name or file of an embedder, or an embedder; None takes the one inside the package. Where
            embeddings are given to `fuse`, it is also the user's word that they are of this embedder.
        detector: Name or file of a face detector, or a detector: images are photos.
        fuser: Name or folder of a fuser, or a fuser. "auto" takes the one that fits the embedder.
        aligned: Whether images are aligned square face crops; not together with a detector.
        preprocessing: "arcface" for an embedder that is not known and takes RGB, (x/255 - .5)/.5.
        norm_output: Output that holds the length of an embedding that the network normalises; "" for none.
        device: Where the models run, "cpu" or "cuda".
        num_threads: Threads to use; None for one per core.
        chunk_size: Images encoded at a time; None takes a whole set at once. Exact fusers do not depend on it.
        ignore_columns: Columns of embedding tables (CSV, Parquet, HDF5) to pass over; refused otherwise.
        calibration: A calibration to decide by, or its file; None takes that of the fuser, if there is one.

    Raises:
        ConfigError, DtypeError: If settings contradict each other, or a model is no name, path or model.

    Example:
        >>> import numpy as np
        >>> fused = Pipeline(fuser="mean").fuse(np.array([[3.0, 0.0], [0.0, 4.0]]))
        >>> fused.template.vector.round(3).tolist(), fused.template.weights.tolist()
        ([0.7070000171661377, 0.7070000171661377], [0.5, 0.5])
    """

    def __init__(
        self,
        embedder: str | os.PathLike[str] | Embedder | None = None,
        *,
        detector: str | os.PathLike[str] | Detector | None = None,
        fuser: str | os.PathLike[str] | Fuser = "auto",
        aligned: bool = False,
        preprocessing: str | None = None,
        norm_output: str | None = None,
        device: str = "cpu",
        num_threads: int | None = None,
        chunk_size: int | None = None,
        ignore_columns: Sequence[str] = (),
        calibration: Calibrated = None,
    ) -> None:
        self._calibration = calibration
        self._models = Models(
            embedder=embedder,
            detector=detector,
            fuser=fuser,
            aligned=aligned,
            preprocessing=preprocessing,
            norm_output=norm_output,
            device=device,
            num_threads=num_threads,
            chunk_size=chunk_size,
            ignore_columns=ignore_columns,
        )

    @property
    def embedder(self) -> Embedder:
        """The embedder, loaded; raises as `probefusion.load_embedder`."""
        return self._models.embedder

    @property
    def detector(self) -> Detector:
        """The face detector, loaded; raises as `probefusion.load_detector`, and ConfigError if none was named."""
        return self._models.detector

    def choose_fuser(
        self, sets: Sequence[EmbeddingSet] = (), states: Sequence[FusionState] = ()
    ) -> Fuser:
        """The fuser; where it is "auto" the one that made the states, or else that fits all sets.

        Raises:
            ConfigError, ProbeFusionError: As for `load_fuser`, or if the fuser of a state is not in the package.
        """
        return self._models.choose_fuser(sets, states)

    def embed(
        self,
        paths: str | Path | ImageSource | Iterable[str | Path | ImageSource],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> EmbeddingReport:
        """Embeds all images of one person, with what every fuser may need of them.

        Args:
            paths: Images, folders and zip archives.
            progress: Called with the number of images done and in all.

        Raises:
            ConfigError, ProbeFusionError: As for `embed_images`, or if there is neither a detector nor aligned images.
        """
        return told(self._models.embed(paths, kept=True, progress=progress))

    def find(self, photo: Photo) -> list[FoundFace]:
        """Every face of a photo, the largest first, with embedding and template.

        One that cannot be aligned or embedded is left out, with a warning in the log; one that is turned put upright.

        Args:
            photo: A file, or (H, W, 3) uint8 RGB.

        Returns:
            The faces; [] if the photo shows none.

        Raises:
            ConfigError: If no detector was named.
            MissingFileError, FileFormatError, DtypeError, ShapeError: If the file or array is no image.
        """
        from probefusion.pipeline.pictures import find_faces

        return find_faces(self._models, photo)

    def fuse(
        self,
        inputs: Source | Iterable[Source],
        *,
        one_person: bool = False,
        settings: VideoSettings | None = None,
        extract: Extract | None = None,
        progress: UnitProgress | None = None,
        should_stop: Callable[[], bool] | None = None,
        strangers: Strangers = "tell",
    ) -> Fused:
        """Fuses everything that there is of one person into one template.

        Args:
            inputs: One or several of: images, folders, zip archives, embedding files, saved states, videos
                and addresses of streams; `EmbeddingSet`, `FusionState`, `FoundFace`; arrays, (N, D)
                floating-point embeddings or (H, W, 3) and (N, H, W, 3) uint8 RGB images. Of a photo the
                largest face is taken, put upright, of a video the person seen most.
            one_person: Whether a folder with images in sub-folders only is one person all the same.
            settings: How videos are turned into people; None takes the defaults.
            extract: Which frames of videos are searched; None takes all.
            progress: Called with what is counted ("images", "frames"), how many are done, and in all.
            should_stop: Asked after each frame; when it says so, what was read is fused.
            strangers: What to do where images seem to be of somebody else, see `Strangers`.

        Raises:
            SeveralPeopleError: If that is to be refused.
            ConfigError: If a folder holds folders of several people, if it is not said whether images are photos,
                or if a setting is out of range.
            EmptySetError: If no image could be used.
            MismatchError: If inputs are of different embedders or fusers.
            ProbeFusionError: If a file cannot be read or an input does not fit the fuser.
        """
        return fuse_person(
            self._models,
            inputs,
            one_person=one_person,
            settings=settings,
            extract=extract,
            progress=progress,
            should_stop=should_stop,
            strangers=strangers,
        )

    def read_sets(
        self,
        inputs: Source | Iterable[Source],
        *,
        one_person: bool = False,
        progress: UnitProgress | None = None,
    ) -> tuple[list[EmbeddingSet], list[SkippedImage]]:
        """Reads and embeds everything that there is of one person, without fusing it.

        Args:
            inputs: As for `fuse`, without states and videos.
            one_person: As for `fuse`.
            progress: As for `fuse`.

        Returns:
            A set for each embedding file or object, one for all images, and the images that were skipped.

        Raises:
            ProbeFusionError: As for `fuse`.
        """
        return read_sets(self._models, inputs, one_person=one_person, progress=progress)

    def fuse_people(
        self,
        folder: str | os.PathLike[str],
        *,
        keep_states: bool = False,
        progress: UnitProgress | None = None,
        strangers: Strangers = "tell",
    ) -> FusedPeople:
        """Fuses the people of a folder, or zip archive, with a folder of images for each.

        Args:
            folder: The folder or `.zip` file. Images may lie deeper inside a person's folder.
            keep_states: Whether the templates come with their states, to which images can be added later.
            progress: Called with "people", how many are done, and in all.
            strangers: As for `fuse`; people who are refused are left out, as problems.

        Returns:
            The templates by the names of the folders. Images that cannot be used are listed as skipped; people
            without any that can, or whose crops are less aligned than others', as problems.

        Raises:
            DtypeError, MissingFileError, FileFormatError: If `folder` is no path, or holds no folders of people.
            EmptySetError: If no image of anybody could be used.
            ConfigError, ProbeFusionError: As for `fuse`.
        """
        from probefusion.pipeline.fuse_people import fuse_folders

        return fuse_folders(
            self._models, folder, keep_states=keep_states, progress=progress, strangers=strangers
        )

    def compare(
        self,
        first: Side,
        second: Side,
        *,
        false_match_rate: float = 1e-3,
        progress: UnitProgress | None = None,
    ) -> Comparison:
        """How alike two people are. What is no template yet is fused first, both sides by one fuser.

        Args:
            first: A `Template`, an `EmbeddingSet`, or anything else that `read_sets` takes; a file of
                templates, with `#` and an id where it holds several.
            second: Likewise.
            false_match_rate: Rate at which the fuser's calibrated threshold is taken, a fraction.
            progress: As for `fuse`, with "images of A" and "images of B".

        Raises:
            ConfigError: If a file holds several templates and no id is named, or the rate is none.
            MismatchError, ProbeFusionError: If the sides do not go together, or one cannot be read.
        """
        return compare_two(
            self._models, first, second, progress=progress, **self._deciding(false_match_rate)
        )

    def search(
        self,
        person: Side,
        among: TemplateSet,
        *,
        false_match_rate: float = 1e-3,
        false_positive_rate: float | None = None,
        progress: UnitProgress | None = None,
    ) -> list[Comparison]:
        """Every template of a set beside one person, the most similar first. Arguments as for `compare`; counts images.

        With `false_positive_rate`, thresholds are those at which a search among so many errs at that rate (FPIR).

        Raises:
            ConfigError, MismatchError, ProbeFusionError: As for `compare`.
        """
        return search_people(
            self._models, person, among, false_positive_rate=false_positive_rate, progress=progress,
            **self._deciding(false_match_rate),
        )  # fmt: skip

    def compare_people(
        self,
        first: TemplateSet,
        second: TemplateSet | None = None,
        *,
        false_match_rate: float = 1e-3,
    ) -> list[Comparison]:
        """For each template of a set the most similar one of another set, or of the others of the same.

        Args:
            first: The templates to find.
            second: Those to find them among. None for `first` itself: who is in it twice?
            false_match_rate: As for `compare`.

        Returns:
            One comparison for each template of `first`, in its order, with both ids.

        Raises:
            ConfigError: If the rate is none.
            MismatchError, ShapeError, EmptySetError: As for `TemplateSet.nearest`.
        """
        return compare_many(self._models, first, second, **self._deciding(false_match_rate))

    def _deciding(self, false_match_rate: float) -> dict[str, Any]:
        return {"false_match_rate": false_match_rate, "calibration": self._calibration}

    def read_video(
        self,
        source: VideoSource,
        *,
        settings: VideoSettings | None = None,
        extract: Extract | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Clip:
        """Reads a video to its end: every person in it, with a state, a template and all weights.

        Args:
            source: A file, `webcam:0`, the address of a stream, or an opened video.
            settings: How it is turned into people; None takes the defaults.
            extract: Which frames are searched; None takes all. Not for an opened video.
            progress: Called with the frames read, and in all where that is known.
            should_stop: Asked after each frame; when it says so, what was read is finished and given.
            options: Further arguments of `probefusion.video.process_video`, as `on_event`.

        Returns:
            The clip; close it when done.

        Raises:
            ConfigError, EmptySetError: If no detector was named, or no person was found.
            ProbeFusionError: If the video cannot be read, or embedder and fuser do not fit.
        """
        return read_video(
            self._models,
            source,
            settings=settings,
            extract=extract,
            progress=progress,
            should_stop=should_stop,
            options=options,
        )

    def read_gallery(self, paths: str | Path | Sequence[str | Path]) -> Stills:
        """Reads people to be found in videos: images, folders and templates.

        Args:
            paths: As for `probefusion.gallery.read_stills`.

        Raises:
            ConfigError, ProbeFusionError: If no detector was named, two people have one name, or nobody can be read.
        """
        return read_gallery(self._models, paths)

    def watch(
        self,
        source: VideoSource,
        *,
        gallery: Stills | str | Path | Sequence[str | Path] | None = None,
        settings: VideoSettings | None = None,
        extract: Extract | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Iterator[VideoEvent]:
        """Follows a video or stream and tells while it runs who appears, who is known better, who left.

        Args:
            source: A file, `webcam:0`, the address of a stream, or an opened video.
            gallery: Whom to look for: images, folders and templates as for
                `probefusion.gallery.stills.read_stills`, or what that gave; None searches nobody.
            settings: As for `read_video`.
            extract: As for `read_video`.
            should_stop: As for `read_video`.
            options: Further arguments of `probefusion.video.watch_video`.

        Returns:
            The events; the video is closed when they end, or when the iterator is closed.

        Raises:
            ProbeFusionError: As for `read_video`; also if the gallery cannot be read.
        """
        return watch_source(
            self._models,
            source,
            gallery=gallery,
            settings=settings,
            extract=extract,
            should_stop=should_stop,
            options=options,
        )
