"""The licensed benchmarks, as small copies in exactly the documented layout, from images to report."""

from __future__ import annotations

import json

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

POINTS = "38.2946 51.6963 73.5318 51.5014 56.0252 71.7366 41.5493 92.3655 70.7299 92.2041"


def picture(subject: int, number: int) -> np.ndarray:
    """A crop that is alike within a person; higher numbers are noisier."""
    base = np.random.default_rng(subject).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    noise = np.random.default_rng([subject, number]).integers(-15, 16, (112, 112, 3))
    return np.clip(cv2.resize(base, (112, 112)) + noise, 0, 255).astype(np.uint8)


def write_picture(path, subject: int, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture(subject, number))


@pytest.fixture
def evaluate(tmp_path, command, tiny_embedder):
    def run(protocol, data, *options):
        code, out, err = command(
            "evaluate",
            protocol,
            "--data",
            data,
            "--embedder",
            tiny_embedder,
            "-o",
            tmp_path / "report",
            "--any-counts",
            "--json",
            *options,
        )
        content = json.loads(out, parse_constant=pytest.fail) if out else None
        return code, content, err

    return run


def _assert_counts_are_judged(command, dataset, root, embedder, output) -> None:
    """Without --any-counts the published numbers are asked for, or it is told that none is known."""
    arguments = ("evaluate", dataset, "--data", root, "--embedder", embedder, "-o", output)
    code, out, err = command(*arguments)
    if dataset == "ijbb":
        assert code == 1
        assert "expected 227630 images, the published number of IJB-B, got 40" in err
        assert "--any-counts" in err
        return
    assert code == 0, err
    words = " ".join(out.split())
    assert "the published numbers of IJB-C are not confirmed here, so nothing was checked" in words
    assert "It holds 40 images, 16 templates and 64 pairs, 8 of them mated" in words


@pytest.mark.parametrize("dataset", ["ijbb", "ijbc"])
def test_ijb(tmp_path, evaluate, dataset, command, tiny_embedder) -> None:
    """8 people; a gallery template of 2 images and a probe template of 3 images of two media each."""
    root = tmp_path / "IJB"
    (root / "meta").mkdir(parents=True)
    media, points, number = [], [], 0
    galleries: tuple[list[str], list[str]] = ([], [])
    probes = []
    for subject in range(8):
        for template, count in ((10 + subject, 2), (50 + subject, 3)):
            for image in range(count):
                number += 1
                write_picture(root / "loose_crop" / f"{number}.jpg", subject, number)
                media.append(f"{number}.jpg {template} {100 * template + image // 2}")
                points.append(f"{number}.jpg {POINTS} 0.99")
        galleries[subject % 2].append(f"{10 + subject},{subject}")
        probes.append(f"{50 + subject},{subject}")
    pairs = [f"{10 + a} {50 + b} {int(a == b)}" for a in range(8) for b in range(8)]
    first, second = ("S1", "S2") if dataset == "ijbb" else ("G1", "G2")
    header = "TEMPLATE_ID,SUBJECT_ID"
    for name, lines in {
        f"{dataset}_face_tid_mid.txt": media,
        f"{dataset}_name_5pts_score.txt": points,
        f"{dataset}_template_pair_label.txt": pairs,
        f"{dataset}_1N_gallery_{first}.csv": [header, *galleries[0]],
        f"{dataset}_1N_gallery_{second}.csv": [header, *galleries[1]],
        f"{dataset}_1N_probe_mixed.csv": [header, *probes],
    }.items():
        (root / "meta" / name).write_text("\n".join(lines) + "\n")
    code, content, err = evaluate(dataset, root, "--chunks", "2")
    assert code == 0, err
    ways = [(result["fuser"], result["chunk"]) for result in content["results"]]
    assert ways == [
        ("media-mean-then-sum", None),
        ("media-mean-then-sum, detector scores", None),
        ("mean", None),
        ("mean", 2),
        ("norm-weighted", None),
        ("norm-weighted", 2),
    ]
    for result in content["results"]:
        rates = {rate["target"]: rate for rate in result["verification"]}
        assert rates[0.1]["num_mated"] == 8
        assert rates[0.1]["num_non_mated"] == 56
        assert rates[0.1]["tar"] > 0.9
        assert rates[1e-6]["resolved"] is False
        assert rates[1e-6]["tar"] is None
        assert [search["cmc"]["rates"][0] for search in result["searches"]] == [1.0, 1.0]
        assert result["searches"][0]["cmc"]["num_non_mated"] == 4
    _assert_counts_are_judged(command, dataset, root, tiny_embedder, tmp_path / "checked")
    assert (tmp_path / "report" / "report.html").exists()
    assert "media-mean-then-sum" in (tmp_path / "report" / "report.md").read_text()


def test_ijb_joint_template_is_the_fuser_on_all_images(tmp_path, tiny_embedder) -> None:
    """The numbers behind the report: templates equal the fuser's own, media means the helper's."""
    from probefusion.evaluation.licensed import _acquired, _fuse
    from probefusion.fusion import MeanFuser
    from probefusion.protocols import TemplateIndex
    from probefusion.types import EmbeddingSet

    rng = np.random.default_rng(0)
    images = EmbeddingSet(embeddings=rng.standard_normal((4, 8)))
    index = TemplateIndex.from_columns([1, 1, 2, 2, 3], [1, 2, 3, 4, 5])
    # Row 1 and row 4 had no face: template 1 keeps one image, template 3 none.
    kept = _acquired(index, np.array([0, -1, 1, 2, -1]))
    assert kept.sizes.tolist() == [1, 2, 0]
    vectors = _fuse(MeanFuser(), images, kept, None)
    assert np.allclose(vectors[0], images.embeddings[0] / images.norms[0], atol=1e-6)
    assert np.allclose(vectors[1], MeanFuser().fuse(images[1:3]).vector, atol=1e-6)
    assert not vectors[2].any()


def test_official_fusers_are_cut_as_officially(fuser_folders, make_set) -> None:
    from probefusion.evaluation.licensed import _fuse
    from probefusion.protocols import TemplateIndex
    from probefusion.zoo import load_fuser

    official = load_fuser(fuser_folders["official"])
    images = make_set(10)
    index = TemplateIndex.from_columns([1] * 10, list(range(10)))
    found = _fuse(official, images, index, 4)[0]
    parts = (images[:4], images[4:7], images[7:])  # 4, 3, 3: not 4, 4, 2
    state = official.encode(parts[0]) + official.encode(parts[1]) + official.encode(parts[2])
    assert np.abs(found - official.finish(state).vector).max() < 1e-6
    assert np.abs(found - official.fuse(images, chunk_size=4).vector).max() > 1e-6


def test_ijb_s(tmp_path, evaluate) -> None:
    root, crops = tmp_path / "IJBS", tmp_path / "crops"
    (root / "galleries").mkdir(parents=True)
    seen = [(1, 10), (2, 10), (3, 10), (1, 11), (3, 13), (4, 14)]
    metadata = ["SUBJECT_ID,FILENAME"]
    for subject, video in seen:
        metadata.append(f"{subject},videos/{video}.mp4")
        if (subject, video) != (4, 14):  # no face was found in that video
            for frame in range(3):
                name = f"{subject}/videos_{video}_{frame:05d}.png"
                write_picture(crops / name, subject, 10 * video + frame)
    for subject in (1, 2, 4):
        metadata.append(f"{subject},img/{subject}.jpg")
        write_picture(crops / f"{subject}/img_{subject}.png", subject, 1)
    probe = "FILENAME\nvideos/10.mp4\nvideos/14.mp4\n"
    header = "T,SUBJECT_ID,FILENAME\n"
    tables = {
        "cs6_metadata.csv": "\n".join(metadata) + "\n",
        "cs6_surveillance_to_single-booking_probe.csv": probe,
        "cs6_surveillance_to_surveillance_probe.csv": "FILENAME\nvideos/10.mp4\n",
        "cs6_uav_to_single-booking_probe.csv": "FILENAME\nvideos/10.mp4\n",
        "galleries/cs6_surveillance_to_surveillance_g1.csv": header + "1,1,videos/11.mp4\n",
        "galleries/cs6_surveillance_to_surveillance_g2.csv": header + "2,3,videos/13.mp4\n",
    }
    for kind in ("single", "booking"):
        tables[f"galleries/cs6_surveillance_to_{kind}_g1.csv"] = (
            header + "1,1,img/1.jpg\n4,4,img/4.jpg\n"
        )
        tables[f"galleries/cs6_surveillance_to_{kind}_g2.csv"] = header + "2,2,img/2.jpg\n"
    for name, text in tables.items():
        (root / name).write_text(text)
    code, content, err = evaluate("ijbs", root, "--images", crops)
    assert code == 0, err
    assert content["evaluated"]["failures_to_acquire"] >= 1
    mean = next(result for result in content["results"] if result["fuser"] == "mean")
    at = {(entry["search"], entry["gallery"]): entry["cmc"] for entry in mean["searches"]}
    joined = at["surveillance_to_single", "joined"]
    # Subjects 1 and 2 are found; subject 4 is enrolled, but no face was found: a miss.
    assert joined["num_mated"] == 3
    assert joined["num_hits"][0] == 2
    code, _, err = evaluate("ijbs", root, "--force")
    assert code == 1
    assert "--images" in err


def test_tinyface(tmp_path, evaluate) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    root = tmp_path / "TinyFace"

    def table(name: str, prefix: str, names: list[str], ids: list[int]) -> None:
        cells = np.empty((len(names), 1), dtype=object)
        cells[:, 0] = names
        scipy_io.savemat(
            root / name, {f"{prefix}_set": cells, f"{prefix}_ids": np.array(ids).reshape(-1, 1)}
        )

    for subject in range(1, 6):
        write_picture(root / "Gallery_Match" / f"{subject}_1.jpg", subject, 1)
        write_picture(root / "Probe" / f"{subject}_2.jpg", subject, 2)
        write_picture(root / "Gallery_Distractor" / f"{subject}.jpg", 100 + subject, 1)
    people = list(range(1, 6))
    table("gallery_match_img_ID_pairs.mat", "gallery", [f"{k}_1.jpg" for k in people], people)
    table("probe_img_ID_pairs.mat", "probe", [f"{k}_2.jpg" for k in people], people)
    code, content, err = evaluate("tinyface", root)
    assert code == 0, err
    for result in content["results"]:
        (search,) = result["searches"]
        assert search["cmc"]["num_mated"] == 5
        assert search["cmc"]["rates"][0] == 1.0
        assert search["cmc"]["num_gallery_subjects"] == 10  # each distractor is somebody else
        assert result["verification"] == []
    assert content["evaluated"]["ranks"] == "places among the images of the gallery"


def test_ytf(tmp_path, evaluate) -> None:
    root = tmp_path / "YTF"
    for subject, name in enumerate(("Ann_Lee", "Bo_Ek", "Cy_Ro")):
        for video in range(2):
            for frame in (3, 20):
                path = root / "aligned_images_DB" / name / str(video)
                file = path / f"aligned_detect_{video}.{frame}.jpg"
                write_picture(file, subject, 10 * video + frame)
    lines = ["split, pair, first, second, same"]
    names = ("Ann_Lee", "Bo_Ek", "Cy_Ro")
    for split in (1, 2):
        lines += [
            f"{split}, {k + 1}, {a}/0, {a}/1, 1" for k, a in enumerate(names) if k % 2 == split - 1
        ]
    lines += ["1, 4, Ann_Lee/0, Bo_Ek/1, 0", "2, 5, Bo_Ek/0, Cy_Ro/1, 0"]
    (root / "splits.txt").write_text("\n".join(lines) + "\n")
    code, content, err = evaluate("ytf", root)
    assert code == 0, err
    rates = {rate["target"]: rate for rate in content["results"][1]["upstream"]}
    assert rates[0.1]["num_mated"] == 3
    assert rates[0.1]["tar"] == 1.0
    assert content["results"][1]["fold_accuracy"]["mean"] >= 0.8
    assert (tmp_path / "report" / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_missing_copy_is_told(tmp_path, evaluate) -> None:
    code, _, err = evaluate("ijbb", tmp_path)
    assert code == 1
    assert "ijbb_face_tid_mid.txt" in err
