"""What the pages say about the embedder of the package: all figures come from its card."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

Card = dict[str, Any]

PAGES = ("docs/results/embedder.md", "src/probefusion/zoo/weights/README.md")
"""Pages of the repository with a block between the marks that `block_marks` gives."""


def block_marks(name: str) -> tuple[str, str]:
    """The comments around a block that `refresh_pages` writes."""
    return (
        f"<!-- {name}: written by research/compact_embedder/ship.py, do not edit -->",
        f"<!-- end of {name} -->",
    )


def refresh_pages(card: Card, repository: Path) -> list[str]:
    """Writes the blocks of all pages anew; gives the names of the pages that changed."""
    changed = []
    for page in PAGES:
        path = repository / page
        text = path.read_text(encoding="utf-8")
        fresh = refreshed(text, card)
        if fresh != text:
            path.write_text(fresh, encoding="utf-8")
            changed.append(page)
    return changed


def refreshed(text: str, card: Card) -> str:
    """A page with its block as the card has it.

    Raises:
        SystemExit: If the page has no block.
    """
    begin, end = block_marks(card["name"])
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"expected one block between {begin!r} and {end!r}")
    block = f"{begin}\n{stand_in_note(card)}{figures(card)}\n{end}"
    return pattern.sub(lambda _: block, text)


def stand_in_note(card: Card) -> str:
    """A warning where the weights are of an unfinished training."""
    if not card["stand_in"]:
        return ""
    return "**Stand-in weights of an unfinished training: these figures are to be replaced.**\n\n"


def figures(card: Card) -> str:
    """The table of the embedder and its teacher."""
    own, teacher = card["measured"]["compact"], card["measured"]["teacher"]
    name = card["training"]["teacher"]["name"]
    speed = card["speed"]
    rows = [
        "| | parameters | file | accuracy, clean | clean with degraded | TAR at FAR .01 | speed |",
        "|---|---|---|---|---|---|---|",
        f"| **{card['name']}** | {_millions(card['parameters'])} | {_megabytes(card['size'])} | "
        f"{_rates(own)} | {speed['ratio']:.1f} x |",
        f"| {name} (its teacher) | {_millions(card['training']['teacher']['parameters'])} | "
        f"{_megabytes(card['training']['teacher']['size'])} | {_rates(teacher)} | 1 |",
    ]
    facts = card["measured"]
    note = (
        f"{facts['num_pairs']:,} pairs of single images of {facts['num_people']:,} people of LFW that the "
        f"embedder was not trained on (fold {facts['fold']}), each of {facts['num_folds']} parts judged at "
        f"the best threshold\nof the others, ± standard error; these are not the pairs of the LFW "
        f"protocol. Degraded: one image of each pair, synthetically. Speed: on one thread."
    )
    return "\n".join([*rows, "", note])


def model_card(card: Card) -> str:
    """The readable card."""
    training, measured, speed = card["training"], card["measured"], card["speed"]
    teacher = training["teacher"]
    parts = [
        f"# Model card: {card['name']}",
        stand_in_note(card).strip(),
        f"A small face embedder: an aligned crop of 112x112 pixels in, {card['settings']['dim']} numbers "
        f"out. It is what probefusion uses where no other embedder is named, so that everything runs "
        f"offline. It is **small and trained on few people** ({_num_people(training):,}): a stronger "
        f"embedder makes better templates, see docs/how-to/models.md.",
        "## Network",
        f"{card['parameters']:,} parameters, {_megabytes(card['size'])} (matrices in 16 bits, computed "
        f"in 32), inverted residual blocks after MobileFaceNets. Input `pixels` (N, 3, 112, 112) float32, "
        f"RGB, (pixel / 255 - 0.5) / 0.5; output `embedding` (N, {card['settings']['dim']}), length kept. "
        f"Style is taken from the maps `{'`, `'.join(card['settings']['style_taps'])}`. SHA-256 of "
        f"`{card['file']}`: `{card['sha256']}`. {speed['images_per_second']:.0f} images/s on one thread, "
        f"{speed['ratio']:.1f} times its teacher ({speed['machine']}, {speed['date']}, commit "
        f"{speed['commit']}).",
        *_eight_bits(card),
        "## Training",
        f"- **Data:** {training['num_images']:,} aligned images of {training['num_people']:,} people of "
        f"Labeled Faces in the Wild, {training['data']}. LFW (Huang, Ramesh, Berg, Learned-Miller, "
        f"University of Massachusetts, Technical Report 07-49, 2007) is made available for research: "
        f"news photographs, collected without asking the people in them, and far from balanced in age, "
        f"sex and skin tone.\n"
        f"{_more_data(training)}{_begun(training)}"
        f"- **Teacher:** {teacher['name']} ({teacher['licence']}; SHA-256 `{teacher['sha256']}`), by "
        f"distillation: the pupil learns the teacher's unit embeddings{_maps(training)}, and its "
        f"similarities to the training people. What the teacher was trained on was not looked into.\n"
        f"- **Images seen:** {training['steps']:,} steps of AdamW, every face mildly changed and some degraded "
        f"too.\n{_stages(training['stages'])}",
        "## Accuracy",
        figures(card),
        f"Fold {measured['fold']} was watched during the training, but never trained on. "
        f"Mean similarity to the teacher's embeddings: {measured['cosine_to_teacher']:.3f}. "
        f"The embedding of a badly degraded copy is shorter than its image's in "
        f"{measured['norm_falls']:.1%} of cases.",
        f"**Not measured:** {_listed(card['not_measured'])}.",
        "## Uses",
        f"Meant for: {_listed(card['intended_uses'])}.",
        f"**Must not be used for:** {_listed(card['forbidden_uses'])}.",
        "A match is a lead to be checked by a person, never proof.",
        "## Licence",
        f"{card['licence']}. The teacher's weights are under {teacher['licence']}. No warranty.",
        "All figures are from `embedder.json`. The network and this page are made by\n\n"
        f"    python -m research.compact_embedder.ship STATE --images lfw112.zip{_given(training)} --teacher "
        f"{teacher['name']}.onnx \\\n        -o src/probefusion/zoo/weights/{card['folder']}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _eight_bits(card: Card) -> list[str]:
    """The paragraphs about the 8-bit form, where there is one."""
    if "eight_bits" not in card:
        return []
    form = card["eight_bits"]
    own, small, speed = card["measured"]["compact"], form["measured"], form["speed"]
    return [
        "## In 8 bits",
        f"`{form['file']}` is the same network computed with whole numbers of 8 bits, {_megabytes(form['size'])}; "
        f"its name is `{form['name']}`, it is not the default. SHA-256 `{form['sha256']}`, own fingerprint "
        f"`{form['fingerprint']}`. It stands for {card['fingerprint']}: embeddings of both may be mixed and go with "
        f"the same fusers, calibrations and galleries. Mean cosine to the embeddings of the original: "
        f"{form['cosine']:.3f}. {speed['images_per_second']:,} images/s of processor time on one thread where the "
        f"original has {speed['images_per_second_of_original']:,} ({speed['machine']}, {speed['date']}, commit "
        f"{speed['commit']}).",
        "| | accuracy, clean | clean with degraded | TAR at FAR .01 |\n|---|---|---|---|\n"
        f"| {card['name']} | {_rates(own)} |\n| {form['name']} | {_rates(small)} |",
        "The pairs are those of the table under Accuracy. Made by\n\n"
        f"    probefusion models quantize {card['name']} --images lfw112.zip --images imfdb112_dev.zip --threads 1 "
        f"-o {form['file']}\n    python -m research.compact_embedder.eight_bits "
        f"src/probefusion/zoo/weights/{card['folder']} --images lfw112.zip",
    ]


def _num_people(training: dict[str, Any]) -> int:
    more = sum(data["num_people"] for data in training.get("more_data", []))
    return int(training["num_people"]) + more


def _more_data(training: dict[str, Any]) -> str:
    return "".join(
        f"- **More data:** {data['num_images']:,} aligned images of {data['num_people']:,} people of "
        f"{_KNOWN_DATA.get(data['data'], data['data'])}, {_folds(data)}.\n"
        for data in training.get("more_data", [])
    )


def _given(training: dict[str, Any]) -> str:
    """The options that name other data and the start, as research/compact_embedder/ship.py takes them."""
    more = ""
    for data in training.get("more_data", []):
        folds = f"={','.join(map(str, data['folds']))}" if "folds" in data else ""
        more += f" --more-images {data['data']}.zip{folds}"
        more += "".join(f" --leave-out {name}" for name in data.get("left_out", []))
    return f"{more} --start {training['start']['folder']}" if "start" in training else more


_KNOWN_DATA = {
    "fiw112": "Families in the Wild (fiw112; research, non-commercial)",
    "imfdb112_dev": "the Indian Movie Face Database (imfdb112_dev, stills of films; research)",
}


def _folds(data: dict[str, Any]) -> str:
    if "folds" not in data:
        return "the same folds"
    return f"folds {' and '.join(map(str, data['folds']))}"


def _begun(training: dict[str, Any]) -> str:
    if "start" not in training:
        return ""
    lines = ""
    while "start" in training:
        start = training["start"]
        training = start["training"]
        begun = "Which began" if lines else "Begun"
        lines += (
            f"- **{begun} with** `{start['folder']}` ({start['fingerprint']}), the pupil of "
            f"{training['teacher']['name']}, after {training['steps']:,} steps.\n"
        )
    return lines


def _maps(training: dict[str, Any]) -> str:
    return ", some of its maps" if any(s["map_weight"] for s in training["stages"]) else ""


_AIMS = {"clean": "", "poor": " and to be what the teacher makes of the same degraded image"}


def _stages(stages: list[dict[str, Any]]) -> str:
    return "\n".join(f"  - {_stage(stage)}" for stage in stages)


def _stage(stage: dict[str, Any]) -> str:
    if "blended_with" in stage:
        other = stage["blended_with"]
        return (
            f"At step {stage['from_step']:,}: {other['share']:.0%} of the network as it was at step {other['step']:,} "
            f"blended in, number by number."
        )
    return (
        f"From step {stage['from_step']:,}: {stage['faces_per_step']} faces a step, "
        f"{_chimeras(stage):.0%} of them put together from two people, {stage['poor_share']:.0%} degraded "
        f"too{_AIMS[stage.get('poor_target', 'clean')]}; rate {stage['learning_rate']:g}, "
        f"falling in the last {stage['cooldown']:.0%} of {stage['steps']:,} steps; seed {stage['seed']}."
        f"{_kinds(stage)}"
    )


_KINDS = {"photo": "photographs", "film": "stills of films", "chimera": "faces put together"}


def _kinds(stage: dict[str, Any]) -> str:
    """What share of the views each kind of images had, and of these the mild ones."""
    if "shares" not in stage:
        return ""
    parts = [
        f"{share:.0%} {_KINDS.get(kind, kind)} ({stage['mild'][kind]:.0%} of them mildly changed)"
        for kind, share in stage["shares"].items()
    ]
    return f" Views: {', '.join(parts)}."


def _chimeras(stage: dict[str, Any]) -> float:
    return float(stage.get("shares", {}).get("chimera", stage["chimera_share"]))


def _rates(found: dict[str, float]) -> str:
    return (
        f"{found['accuracy_clean']:.4f} ± {found['accuracy_clean_error']:.4f} | "
        f"{found['accuracy_degraded']:.4f} ± {found['accuracy_degraded_error']:.4f} | "
        f"{found['tar_at_far_0.01']:.3f}"
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} million"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _listed(items: list[str]) -> str:
    return "; ".join(items)
