"""What `probefusion doctor` says about an embedder: how it is fed, how it runs, and what was stored of it."""

from __future__ import annotations

from probefusion.embedders.feeding_faults import AS_STATED, FeedingCheck
from probefusion.embedders.guess import MIN_FACES, Feeding
from probefusion.embedders.network_faults import NetworkCheck
from probefusion.reports.findings import Finding, unseen
from probefusion.screening.store_rows import StoreCheck
from probefusion.types.revisions import remedy

__all__ = ["feeding_findings", "network_findings", "store_finding"]

_DONE_TO_IMAGES = {
    "mirrored": "the images mirrored. Embed them as they are, or mirror none",
    "mean of image and mirror image": "the mean of each image and its mirror image. Do so on both sides, or on none",
    "turned by 90": "the images turned by 90 degrees. Embed them upright",
    "turned by 180": "the images turned by 180 degrees. Embed them upright",
    "turned by 270": "the images turned by 270 degrees. Embed them upright",
    "red and blue exchanged": "the images with red and blue exchanged. Embed them again in the right order",
}

_EVALUATE = "Export it again after model.eval()"


def feeding_findings(check: FeedingCheck, *, is_grey: bool, network: NetworkCheck) -> list[Finding]:
    """Channel order and scaling of the embedder.

    Args:
        check: The settings beside all others.
        is_grey: Whether the images have no colours.
        network: What running the network showed.
    """
    if not check.can_be_told:
        reason = (
            f"the faces look like {check.num_people} different people, at least {MIN_FACES} are needed"
            if check.num_people < MIN_FACES
            else f"fed in any of the usual ways it hardly tells these faces apart (gap {check.best.gap:.2f})"
        )
        return unseen(("channel-order", "scaling", "normalised-twice"), reason)
    return [_channel_order(check, is_grey), *_scaling(check, network)]


def _channel_order(check: FeedingCheck, is_grey: bool) -> Finding:
    other = "BGR" if check.best.channel_order == "RGB" else "RGB"
    seen = (
        f"gap {check.over_exchanged.gain:.3f} wider as {check.best.channel_order} than as {other} "
        f"(t {check.over_exchanged.t:.1f}, {check.num_faces} faces)"
    )
    if is_grey:
        return unseen(("channel-order",), "the images have no colours")[0]
    if check.has_exchanged_channels:
        return Finding(
            check="channel-order",
            status="fault",
            evidence=f"{seen}; it is fed as {check.stated.channel_order}",
            fix=f'Set "channel_order": "{check.best.channel_order}" in the .json beside the network',
        )
    if not check.order_is_clear:
        return unseen(("channel-order",), f"either order does as well on these faces: {seen}")[0]
    return Finding(check="channel-order", status="fine", evidence=seen)


def _scaling(check: FeedingCheck, network: NetworkCheck) -> list[Finding]:
    best, stated = check.best, check.stated
    if not check.has_wrong_scaling:
        scaling = f"no other is better: gap {stated.gap:.3f} as it is ({stated.scaling})"
        return [
            Finding(check="scaling", status="fine", evidence=scaling),
            Finding(check="normalised-twice", status="fine", evidence="the scaling is right"),
        ]
    seen = (
        f"gap {best.gap:.3f} with {best.scaling}, {stated.gap:.3f} as it is ({stated.scaling}; t "
        f"{check.over_stated.t:.1f}, {check.num_faces} faces)"
    )
    is_raw = best.scaling == "x, 0 to 255"
    if is_raw and network.normalises_itself:
        return [
            Finding(
                check="normalised-twice",
                status="fault",
                evidence=f"the network scales pixels itself, and the settings do so again: {seen}",
                fix=_set_scaling(best),
            )
        ]
    if check.is_twice:
        twice = f"the settings are two scalings one after the other: {seen}"
        return [
            Finding(
                check="normalised-twice", status="fault", evidence=twice, fix=_set_scaling(best)
            )
        ]
    return [Finding(check="scaling", status="fault", evidence=seen, fix=_set_scaling(best))]


def _set_scaling(best: Feeding) -> str:
    if best.scaling == AS_STATED:
        return ""
    mean, std = best.settings["mean"], best.settings["std"]
    return f'Set "mean": {_numbers(mean)}, "std": {_numbers(std)} in the .json beside the network'


def _numbers(values: object) -> str:
    numbers = values if isinstance(values, tuple) else ()
    return f"[{', '.join(f'{value:.4g}' for value in numbers)}]"


def network_findings(check: NetworkCheck) -> list[Finding]:
    """Training mode, dependence on the batch, and the output with the length."""
    return [_training_mode(check), _batch(check), _norm_output(check)]


def _training_mode(check: NetworkCheck) -> Finding:
    nodes = f" ({', '.join(check.training_nodes[:3])})" if check.training_nodes else ""
    if check.is_random:
        evidence = f"the same image gives other embeddings each time: {check.repeats_differ:.1%} apart{nodes}"
        why = "dropout or noise is still on"
    elif check.uses_batch_statistics:
        evidence = f"normalises by the statistics of the batch{nodes}"
        why = "BatchNorm must use the statistics of training"
    else:
        evidence = f"the same image twice: {check.repeats_differ:.1e} apart"
        return Finding(check="training-mode", status="fine", evidence=evidence)
    return Finding(
        check="training-mode", status="fault", evidence=evidence, fix=f"{_EVALUATE}: {why}"
    )


def _batch(check: NetworkCheck) -> Finding:
    if check.neighbours_differ is None:
        reason = (
            "two runs of one image differ already"
            if check.is_random
            else "the file takes one image at a time"
        )
        return unseen(("batch",), reason)[0]
    if check.depends_on_batch:
        return Finding(
            check="batch",
            status="fault",
            evidence=f"an image alone and beside others: {check.neighbours_differ:.1%} apart",
            fix=f"{_EVALUATE}; an 8-bit file: quantise with fixed scales. Until then run one image at a time",
        )
    return Finding(
        check="batch",
        status="fine",
        evidence=f"an image alone and beside others: {check.neighbours_differ:.1e} apart",
    )


def _norm_output(check: NetworkCheck) -> Finding:
    if check.unused_norm is not None:
        return Finding(
            check="norm-output",
            status="fault",
            evidence=f"output {check.unused_norm!r} is the length that the network divides out, and is not used",
            fix=f"--norm-output {check.unused_norm}",
        )
    if check.norm_candidates:
        names = ", ".join(check.norm_candidates)
        return unseen(
            ("norm-output",),
            f"perhaps {names} is the length; if so, say it: --norm-output {check.norm_candidates[0]}",
        )[0]
    return Finding(check="norm-output", status="fine", evidence="no length is thrown away")


def store_finding(check: StoreCheck, *, made_by: str | None, embedder: str) -> Finding:
    """Whether stored rows are of these images and this embedder.

    Args:
        check: The rows beside the embeddings.
        made_by: Fingerprint that the store carries, or None.
        embedder: Fingerprint of the embedder.
    """
    if check.is_same:
        return Finding(
            check="store",
            status="fine",
            evidence=f"{check.num_rows} of {check.num_rows} rows are the embeddings of their images",
        )
    said = f"; the file says it is of {made_by}" if made_by not in (None, embedder) else ""
    evidence = f"{check.num_same} of {check.num_rows} rows are the embeddings of their images"
    if check.cosine is None:
        evidence += f": rows of {check.dims[0]} dimensions, the embedder gives {check.dims[1]}"
    else:
        evidence += f" (median cosine {check.cosine:.3f})"
    if check.num_explained and check.explanation is not None:
        what, _, fix = _explained(check.explanation).partition(". ")
        evidence += f"; {check.num_explained} are those of {what}"
        return Finding(check="store", status="fault", evidence=evidence + said, fix=fix)
    if check.agreement is not None:
        evidence += f"; similarities agree by {check.agreement:.2f}"
    is_of_another = made_by != embedder and (
        check.shows_same_images or check.cosine is None or bool(said)
    )
    fix = (
        remedy(
            made_by,
            embedder,
            "Another embedder made it: name that one with --embedder, or embed the images again",
        )
        if is_of_another
        else "Its rows are of other images, or in another order: compare the names"
    )
    return Finding(check="store", status="fault", evidence=evidence + said, fix=fix)


def _explained(key: str) -> str:
    return _DONE_TO_IMAGES.get(
        key, f"this network fed with {key}. Embed the images again as the embedder is set"
    )
