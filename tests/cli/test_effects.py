"""An option that cannot have an effect on what was given is an error that names option, input, and what to do."""

from __future__ import annotations

import argparse
from dataclasses import replace

import cv2
import numpy as np
import pytest

from probefusion.cli.effects import NOT_GIVEN, check_effects
from probefusion.cli.main import build_parser
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.fusion import MeanFuser
from probefusion.types import EmbeddingSet, Template, TemplateSet, Usability

VIDEO_OPTIONS = {
    "--every": "2",
    "--start": "1",
    "--stop": "2",
    "--max-faces": "3",
    "--min-size": "10",
    "--min-images": "4",
    "--split-below": "0.3",
    "--reenter-from": "0.6",
}
PHOTO_OPTIONS = {
    "--detector": "yunet",
    "--preprocessing": "arcface",
    "--norm-output": "norm",
}
ONE_TEMPLATE = {
    "--embedder": "compact_128d",
    "--chunk": "4",
    "--no-screening": None,
    "--largest-person": None,
    "--drop-outliers": None,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Files of every kind of a person, and a gallery of one."""
    root = tmp_path_factory.mktemp("inputs")
    rows = np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32)
    images = EmbeddingSet(embeddings=rows, embedder="net@1")
    images.save(root / "set.npz")
    np.save(root / "array.npy", rows)
    header = ",".join(f"e{place}" for place in range(16))
    np.savetxt(root / "table.csv", rows, delimiter=",", header=header, comments="")
    state = MeanFuser().encode(images)
    state.save(root / "state.safetensors")
    template = MeanFuser().finish(state)
    template.save(root / "template.npz")
    good = Usability.predicted(0.7, (0.6, 0.8), level=0.5, false_match_rate=0.001)
    replace(template, usability=good).save(root / "judged.npz")
    TemplateSet.of({"ann": template, "bob": template}).save(root / "many.npz")
    (root / "people" / "ann").mkdir(parents=True)
    for place in range(2):
        cv2.imwrite(str(root / "people" / "ann" / f"{place}.png"), draw_crop(1, place))
    cv2.imwrite(str(root / "crop.png"), draw_crop(1, 3))
    return root


@pytest.fixture(scope="module")
def library(inputs):
    from probefusion.gallery import Gallery

    with Gallery(inputs / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", EmbeddingSet.load(inputs / "set.npz"))
    return inputs / "people.db"


def words(options):
    return [part for pair in options.items() for part in pair if part is not None]


def cases():
    """Every option beside every kind of input on which it has no effect, for the commands that have it."""
    of_videos = [*VIDEO_OPTIONS.items()]
    of_images = [*PHOTO_OPTIONS.items()]
    finished = [*ONE_TEMPLATE.items()]
    for file, what in (
        ("set.npz", "embeddings"),
        ("array.npy", "embeddings"),
        ("table.csv", "embeddings"),
        ("state.safetensors", "a saved state"),
    ):
        for option in (*of_videos, *of_images):
            yield "fuse", file, what, option
        yield "fuse", file, what, ("--one-person", None)
        if file != "table.csv":
            yield "fuse", file, what, ("--ignore-columns", "a")
    for option in finished:
        if option[0] != "--embedder":
            yield "fuse", "state.safetensors", "a saved state", option
    for option in of_videos:
        yield "fuse", "crop.png", "an image", option
    for command in ("search", "verify", "compare"):
        options = [*of_images, *finished, ("--ignore-columns", "a")]
        options += [] if command == "compare" else [*of_videos, ("--one-person", None)]
        for option in options:
            yield command, "template.npz", "a finished template", option
    for command in ("enroll", "update", "search", "verify"):
        for option in (*of_videos, *of_images, ("--one-person", None)):
            yield command, "set.npz", "embeddings", option
    for command in ("enroll", "update"):
        for file, what in (("set.npz", "embeddings"), ("state.safetensors", "a saved state")):
            yield command, file, what, ("--keep-chips", None)
    yield "compare", "many.npz", "finished templates", ("--strict", None)
    for option in finished:
        yield "compare", "many.npz", "finished templates", option


@pytest.mark.parametrize(("name", "file", "what", "option"), list(cases()))
def test_it_is_refused(command, inputs, library, name, file, what, option) -> None:
    path = inputs / file
    arguments = {
        "fuse": (path, "--json"),
        "compare": (path, path),
        "search": (library, path),
        "verify": (library, "ann", path),
        "enroll": (library, path, "--name", "new"),
        "update": (library, "ann", path),
    }[name]
    flag, value = option
    code, out, err = command(name, *arguments, flag, *([] if value is None else [value]))
    more = " and 1 more" if name == "compare" else ""
    assert code == 1, err
    assert out == ""
    assert err.startswith(
        f"probefusion: error: {flag}: has no effect on {what} ({path}{more}): it is for "
    )
    assert err.endswith(". Leave it out.\n")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["enroll", "update", "fuse"])
@pytest.mark.parametrize("option", [*VIDEO_OPTIONS.items(), ("--ignore-columns", "a")])
def test_folders_of_people_hold_images_alone(command, inputs, library, name, option) -> None:
    people = inputs / "people"
    arguments = {
        "fuse": (people, "--people", "-o", inputs / "new.npz", "--aligned"),
        "enroll": (library, people, "--people", "--aligned"),
        "update": (library, people, "--people", "--aligned"),
    }[name]
    code, _, err = command(name, *arguments, *option)
    assert code == 1
    assert f"{option[0]}: has no effect on a folder of people ({people}): it is for " in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--fmr", "0.01"),
            "--fmr: has no effect on a video alone (v.mp4): it is for a video beside",
        ),
        (("--threshold", "0.5"), "--threshold: has no effect on a video alone (v.mp4)"),
        (("--strict",), "--strict: has no effect on a video alone (v.mp4): it is for images of"),
        (
            ("--gallery", "people.db", "--largest-person"),
            "--largest-person: has no effect on a video beside a gallery that is kept (v.mp4)",
        ),
        (("--timeout", "3"), "--timeout: expected a gallery with it, got none."),
        (("--gallery", "stills", "--timeout", "3"), "--timeout: expected a gallery with it"),
    ],
)
def test_what_is_for_a_gallery_of_a_video(command, options, told) -> None:
    code, _, err = command("video", "v.mp4", "--detector", "yunet", "-o", "out", *options)
    assert code == 1
    assert told in err


def test_the_number_of_candidates_is_for_one_person_beside_many(command, inputs) -> None:
    template, many = inputs / "template.npz", inputs / "many.npz"
    for pair in ((template, template), (many, many)):
        code, _, err = command("compare", *pair, "--top", "3")
        assert code == 1
        assert "--top: has no effect on two people, or two files" in err
    code, out, _ = command("compare", template, many, "--top", "1")
    assert code == 0
    assert "and 1 less similar (--top 2 lists all)" in out


def test_one_input_that_it_acts_on_is_enough(command, inputs) -> None:
    crop, images = inputs / "crop.png", inputs / "set.npz"
    code, _, err = command(
        "fuse", images, crop, "--aligned", "--preprocessing", "arcface", "--json"
    )
    assert "has no effect" not in err  # embedders differ, which is another error
    code, _, err = command("fuse", images, crop, "--aligned", "--every", "2", "--json")
    assert code == 1
    assert f"--every: has no effect on an image and embeddings ({images} and 1 more)" in err


def test_what_has_an_effect_is_taken(command, inputs, library) -> None:
    for arguments in (
        ("fuse", inputs / "table.csv", "--ignore-columns", "nothing", "--json"),
        ("compare", inputs / "template.npz", inputs / "judged.npz", "--strict"),
        ("search", library, inputs / "judged.npz", "--strict", "--threads", "1"),
        ("fuse", inputs / "set.npz", "--every", "1", "--start", "0", "--device", "cpu", "--json"),
    ):
        code, _, err = command(*arguments)
        assert code in (0, 3) or "ignore" in err, err
        assert "has no effect" not in err


def test_what_images_are_may_be_said_of_anything(command, inputs, library) -> None:
    """A loop over images and embeddings says --aligned of all; the results are those without it."""
    for arguments in (
        *(
            ("fuse", inputs / file, "--json")
            for file in ("set.npz", "array.npy", "table.csv", "state.safetensors")
        ),
        ("compare", inputs / "template.npz", inputs / "many.npz", "--json"),
        ("search", library, inputs / "template.npz", "--json", "--threshold", "0.5"),
    ):
        plain = command(*arguments)
        assert plain[0] == 0, plain
        assert command(*arguments, "--aligned") == plain
    np.save(inputs / "crops.npy", np.zeros((2, 112, 112, 3), np.uint8))
    code, out, _ = command("fuse", inputs / "crops.npy", "--aligned", "--json")
    assert (code, out) == (1, "")  # an array of crops is no embeddings, and is not taken for any


@pytest.mark.parametrize("name", ["compare", "search", "verify"])
def test_strict_refuses_templates_of_which_nothing_was_estimated(
    command, inputs, library, name
) -> None:
    old = inputs / "template.npz"
    arguments = {
        "compare": (old, f"{inputs / 'many.npz'}#ann"),
        "search": (library, old),
        "verify": (library, "ann", old),
    }[name]
    more = " and 1 more" if name == "compare" else ""
    code, out, err = command(name, *arguments, "--strict")
    assert (code, out) == (1, "")
    assert err == (
        f"probefusion: error: --strict: has no effect on a finished template without an estimate of its usability "
        f"({old}{more}): it is for what is fused, and templates that keep one. Fuse its images anew, or leave it out.\n"
    )


@pytest.mark.parametrize(
    ("options", "flag", "told"),
    [
        ((option, "-o", "c.json"), option[0], "a calibration that is kept in a file (-o c.json)")
        for option in (
            ("--keep-card",),
            ("--mix", "clean"),
            ("--sizes", "1,2"),
            ("--num-sets", "3"),
        )
    ]
    + [
        ((option, "--keep-card"), option[0], "a card that stays as it is (--keep-card)")
        for option in (("--mix", "clean"), ("--sizes", "1,2"), ("--num-sets", "3"))
    ],
)
def test_what_is_for_the_card_of_a_fuser(command, options, flag, told) -> None:
    (option, *more) = options
    code, out, err = command("calibrate", "mean", "--data", "people", *option, *more)
    assert (code, out) == (1, "")
    assert err.startswith(f"probefusion: error: {flag}: has no effect on {told}: it is for ")
    assert err.endswith(" card. Leave it out.\n") or err.endswith("fuser folder. Leave it out.\n")


def test_crops_alone_are_trusted_to_be_aligned(command, inputs, tmp_path) -> None:
    for name, output in (("embed-archive", "rows"), ("fuse-archive", "t.parquet")):
        more = ("--fuser", "mean") if name == "fuse-archive" else ()
        code, out, err = command(
            name, inputs / "people", "-o", tmp_path / output, *more,
            "--detector", "yunet", "--trust-alignment",
        )  # fmt: skip
        assert (code, out) == (1, "")
        assert err.startswith(
            "probefusion: error: --trust-alignment (trust_alignment=): has no effect on photos"
        )


def test_a_file_that_is_not_there_is_told_first(command, inputs) -> None:
    code, _, err = command("fuse", inputs / "no.npz", "--every", "2", "--json")
    assert code == 1
    assert "no.npz" in err
    assert "does not exist" in err or "no such" in err.lower()
    assert "--every" not in err


def test_rows_of_embeddings_have_no_images(command, inputs, tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    table = arrow.table({"template_id": ["a"], "embedding": [[1.0, 0.0]]})
    parquet.write_table(table, path)
    for option in (
        ("--every", "2"),
        ("--person", "parent"),
        ("--image-column", "png"),
        ("--rows", str(tmp_path / "r")),
        ("--preprocessing", "arcface"),
        ("--norm-output", "n"),
        ("--trust-alignment",),
    ):
        arguments = ("fuse-archive", path, "--fuser", "mean", "-o", tmp_path / "t.parquet")
        code, _, err = command(*arguments, *option)
        assert code == 1
        assert err == (
            f"probefusion: error: {option[0]}: has no effect on rows of embeddings ({path}): it is for archives of "
            f"images. Give --aligned or --detector too if the archive holds images, or leave it out.\n"
        )


def test_options_that_were_not_given_are_told_apart() -> None:
    """What the rule takes for not given is what every command's parser gives."""
    commands = next(
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ).choices
    for name in ("fuse", "compare", "embed", "enroll", "update", "search", "verify"):
        for option, usual in NOT_GIVEN.items():
            default = commands[name].get_default(option)
            assert default in (usual, None), (name, option)


def test_the_rule_reads_what_is_given_alone(inputs) -> None:
    options = argparse.Namespace(every=1, start=0.0, strangers="tell")
    check_effects(options, [str(inputs / "template.npz"), f"{inputs / 'many.npz'}#ann"])
    assert isinstance(Template.load(inputs / "template.npz"), Template)
