"""`Pipeline`: photos, crops, embeddings and videos to templates, with one choice of models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.fusion import Fuser
from probefusion.fusion.decisions import Calibrated
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.comparing_pipeline import ComparingPipeline
from probefusion.pipeline.fuse_person import fuse_person
from probefusion.pipeline.gathered import UnitProgress
from probefusion.pipeline.given_models import check_calibration
from probefusion.pipeline.inputs import Source
from probefusion.pipeline.person_sets import EmbeddedPerson, PersonSets
from probefusion.pipeline.read_person import embed_person, read_sets
from probefusion.pipeline.results import FoundFace, Fused, FusedPeople
from probefusion.pipeline.strangers import Strangers
from probefusion.pipeline.video_pipeline import VideoPipeline
from probefusion.pipeline.videos import Extract
from probefusion.types import EmbeddingSet, FusionState

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.faces import Detector, ImageSource
    from probefusion.pipeline.pictures import Photo
    from probefusion.video import VideoSettings

__all__ = ["Pipeline"]


class Pipeline(ComparingPipeline, VideoPipeline):
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
        calibration: A calibration to decide by, or its file; None takes that of the fuser, if there is one. What was
            measured with it about the usability of templates, and stands beside the file, is taken too.
        keep_chips: Whether the sets of what is found in images carry a small picture of each face, which a gallery
            then keeps for the eye. They are personal data, so this is off unless you ask. Faces of videos have none.

    Raises:
        ConfigError, DtypeError: If settings contradict each other, or a model is no name, path or model.
        MissingFileError: If the file of the calibration is not there.

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
        keep_chips: bool = False,
    ) -> None:
        check_calibration(calibration)
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
            keep_chips=keep_chips,
            calibration_file=Path(calibration)
            if isinstance(calibration, str | os.PathLike)
            else None,
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
        strangers: Strangers = "tell",
    ) -> EmbeddedPerson:
        """Embeds all images of one person, with what every fuser may need of them.

        Of photos that show several faces the one that is common to all is taken.

        Args:
            paths: Images, folders and zip archives.
            progress: Called with the number of images done and in all.
            strangers: What to do where images seem to be of somebody else, see `Strangers`.

        Returns:
            The set, which images were skipped, and whether they are of one person.

        Raises:
            SeveralPeopleError: If that is to be refused.
            ConfigError, ProbeFusionError: As for `embed_images`, or if there is neither a detector nor aligned images.
        """
        return embed_person(self._models, paths, strangers=strangers, progress=progress)

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
        strangers: Strangers = "tell",
    ) -> PersonSets:
        """Reads and embeds everything that there is of one person, without fusing it.

        Args:
            inputs: As for `fuse`, without states and videos.
            one_person: As for `fuse`.
            progress: As for `fuse`.
            strangers: As for `fuse`.

        Returns:
            A set for each embedding file or object and one for all images, those that were skipped, and whether
            they are of one person.

        Raises:
            ProbeFusionError: As for `fuse`.
        """
        return read_sets(
            self._models, inputs, one_person=one_person, strangers=strangers, progress=progress
        )

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
