"""What `probefusion doctor` says about images: upright, in RGB, aligned, not squashed, not mirrored."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.embedders.guess import MIN_FACES
from probefusion.files.reading import in_one_line
from probefusion.reports.findings import Finding, unseen
from probefusion.screening.crop_faults import CropCheck, Geometry
from probefusion.screening.store_rows import StoreCheck

__all__ = ["alignment_finding", "crop_findings", "faces_finding", "mirror_finding"]

_SQUASHED = {
    "narrow": "too narrow",
    "wide": "too wide",
    "flat": "too flat",
    "tall": "too tall",
}
_NAMES_SHOWN = 3
_ALIGN = "Cut them out by five landmarks as probefusion.faces.align_face does: give the photos and --detector"


def faces_finding(check: CropCheck, blank: Sequence[str], num_images: int) -> Finding:
    """Whether there is anything to be seen in the images, and whether it is faces.

    Args:
        check: What the quality network said of those that are not blank, or of all if all are.
        blank: Names of images of one colour.
        num_images: Images that were looked at.
    """
    if blank:
        more = f" and {len(blank) - _NAMES_SHOWN} more" if len(blank) > _NAMES_SHOWN else ""
        return Finding(
            check="faces",
            status="fault",
            evidence=f"{len(blank)} of {num_images} images are blank, of one colour: "
            f"{', '.join(map(in_one_line, blank[:_NAMES_SHOWN]))}{more}",
            fix="Find what wrote them (a crop beyond the photo, a frame before the picture, a failed read), and take "
            "them out",
        )
    if not check.shows_faces:
        reason = _hardly(check)
        if num_images < MIN_FACES:
            return unseen(("faces",), f"{reason}; to be sure takes {MIN_FACES} images")[0]
        return Finding(
            check="faces",
            status="fault",
            evidence=reason,
            fix="Give crops of faces, or photos with --detector; faces of very few pixels look like this too",
        )
    return Finding(
        check="faces", status="fine", evidence=f"quality {check.quality:.1f} (mean, of -4 to 4)"
    )


def crop_findings(check: CropCheck, num_images: int, *, knows_cut: bool) -> list[Finding]:
    """Turned, channels of the images, and whether faces are squashed.

    Args:
        check: What the quality network said.
        num_images: Images that were looked at.
        knows_cut: Whether the embedder wants its crops cut as ArcFace's, by which squashed ones are known.
    """
    if not check.shows_faces:
        reason = _hardly(check)
        return unseen(("turned", "image-channels", "squashed"), reason)
    found = [_turned(check, num_images), _image_channels(check, num_images)]
    if not knows_cut:
        return [
            *found,
            *unseen(("squashed",), "the embedder takes crops of another size than 112x112"),
        ]
    if num_images < MIN_FACES:
        return [*found, *unseen(("squashed",), f"needs {MIN_FACES} images, got {num_images}")]
    return [*found, _squashed(check)]


def _hardly(check: CropCheck) -> str:
    return f"the quality network sees hardly a face in these images (mean {check.quality:.1f} of -4 to 4)"


def _turned(check: CropCheck, num_images: int) -> Finding:
    turned = check.turned
    if not turned:
        return Finding(
            check="turned", status="fine", evidence=f"0 of {num_images} are better when turned"
        )
    parts = ", ".join(f"{count} by {angle} degrees" for angle, count in turned.items())
    return Finding(
        check="turned",
        status="fault",
        evidence=f"{sum(turned.values())} of {num_images} stand turned with the clock: {parts}",
        fix="Turn them upright; photos of telephones: apply the Exif orientation before aligning",
    )


def _image_channels(check: CropCheck, num_images: int) -> Finding:
    if check.is_grey:
        return unseen(("image-channels",), "the images have no colours")[0]
    if check.num_exchanged:
        return Finding(
            check="image-channels",
            status="fault",
            evidence=f"{check.num_exchanged} of {num_images} are better with red and blue exchanged (by "
            f"{check.exchange_gain:.2f})",
            fix="They were saved as BGR for RGB: with OpenCV, cv2.cvtColor(image, cv2.COLOR_RGB2BGR) before "
            "cv2.imwrite",
        )
    return Finding(
        check="image-channels",
        status="fine",
        evidence=f"worse with red and blue exchanged (by {-check.exchange_gain:.2f})",
    )


def _squashed(check: CropCheck) -> Finding:
    for geometry, gain in zip(check.geometries, check.geometry_gains, strict=True):
        if geometry.fault in _SQUASHED:
            return Finding(
                check="squashed",
                status="fault",
                evidence=f"faces are {_SQUASHED[geometry.fault]}: better by {gain:.2f} when stretched "
                f"{geometry.across:g} across and {geometry.down:g} down",
                fix="Keep the aspect ratio: cut a square out of the photo, never resize a rectangle to a square",
            )
    return Finding(
        check="squashed",
        status="fine",
        evidence="not better when stretched; less than a fifth is not seen",
    )


def alignment_finding(
    check: CropCheck,
    sizes: Sequence[tuple[int, int]],
    *,
    offset: tuple[float, float] | None,
    odd_sizes: bool,
) -> Finding:
    """Whether faces stand where ArcFace's crops have them.

    Args:
        check: What the quality network said.
        sizes: Width and height of each image.
        offset: Median distance of the landmarks from their places after all that was undone, and how much is
            allowed, in pixels of 112; None where no detector looked or it found too few faces.
        odd_sizes: Whether sizes tell: the images were read as crops.
    """
    size = _sizes(sizes)
    not_square = sum(width != height for width, height in sizes) if odd_sizes else 0
    if 2 * not_square > len(sizes):
        return Finding(
            check="alignment",
            status="fault",
            evidence=f"{not_square} of {len(sizes)} images are not square ({size})",
            fix=_ALIGN,
        )
    cut = next((one for one in check.geometries if one.fault not in _SQUASHED), None)
    if cut is not None:
        gain = check.geometry_gains[check.geometries.index(cut)]
        return Finding(check="alignment", status="fault", fix=_ALIGN, evidence=_how_cut(cut, gain, size))  # fmt: skip
    if offset is not None and offset[0] > offset[1]:
        return Finding(
            check="alignment",
            status="fault",
            evidence=f"eyes, nose and mouth lie {offset[0]:.1f} of 112 pixels (median) from where aligned crops "
            f"have them, at most {offset[1]:g} is usual",
            fix=_ALIGN,
        )
    if len(sizes) < MIN_FACES or not check.shows_faces:
        reason = (
            f"needs {MIN_FACES} images, got {len(sizes)}"
            if len(sizes) < MIN_FACES
            else "hardly a face is seen"
        )
        return unseen(("alignment",), reason)[0]
    if offset is None:
        seen = "not better when all are cut anew; whether each is tilted or moved in its own way, only a detector "
        return unseen(("alignment",), f"{seen}tells: probefusion models pull yunet_2023mar")[0]
    return Finding(
        check="alignment",
        status="fine",
        evidence=f"not better when cut anew; landmarks {offset[0]:.1f} of 112 pixels off (median), at most "
        f"{offset[1]:g} is usual",
    )


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    often = max(set(sizes), key=lambda size: (sizes.count(size), size))
    rest = "" if len(set(sizes)) == 1 else " and others"
    return f"{often[0]}x{often[1]}{rest}"


_TEMPLATES = {
    "loose": "faces are too small: cut too loosely, as by a detector's box with a margin (MTCNN, 160 pixels) or "
    "another template",
    "tight": "faces are too large: cut too tightly, as by a detector's box or another template",
    "shifted": "faces stand away from their place, as by another template",
}


def _how_cut(cut: Geometry, gain: float, size: str) -> str:
    how = (
        f"moved by ({cut.right:g}, {cut.below:g}) pixels"
        if cut.fault == "shifted"
        else f"scaled by {cut.across:g}"
    )
    return f"{_TEMPLATES[cut.fault]}; better by {gain:.2f} when {how} (files of {size})"


def mirror_finding(store: StoreCheck | None) -> Finding:
    """Whether images are mirrored, which only embeddings made from them elsewhere can tell."""
    if store is None or store.cosine is None:
        return unseen(
            ("mirrored",),
            "a face and its mirror image are as good as each other; only --store FILE with embeddings of the "
            "same images tells",
        )[0]
    if store.explanation == "mirrored":
        return Finding(
            check="mirrored",
            status="fault",
            evidence=f"{store.num_explained} of {store.num_rows} stored embeddings are those of the mirror images",
            fix="Find which side mirrors (selfies, cv2.flip, augmentation left on), and embed again without",
        )
    if store.num_same:
        return Finding(
            check="mirrored",
            status="fine",
            evidence=f"{store.num_same} of {store.num_rows} stored embeddings are those of the images as they are",
        )
    return unseen(("mirrored",), "the stored embeddings are not of these images")[0]
