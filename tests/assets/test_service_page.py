"""The page of the service in a real browser: narrow and wide, light and dark."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

SIZES = [(390, "dark"), (390, "light"), (1280, "light"), (1280, "dark")]
NAMES = {"Jörg Müßig": 0, "مريم": 1, "C": 2}
"""German and right-to-left names, and who of the archive has them."""


@pytest.fixture(scope="module")
def faces(assets) -> list[list[bytes]]:
    """Twelve crops of each of three people."""
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        people: dict[str, list[str]] = {}
        for name in sorted(archive.namelist()):
            if name.endswith(".jpg"):
                people.setdefault(name.split("/")[0], []).append(name)
        chosen = [files[:12] for files in people.values() if len(files) >= 12][:3]
        return [[archive.read(name) for name in files] for files in chosen]


@pytest.fixture(scope="module")
def folder(faces, tmp_path_factory):
    """A gallery of the people, a degraded probe of the second, and a file that is no image."""
    root = tmp_path_factory.mktemp("page")
    for name, place in NAMES.items():
        (root / "people" / name).mkdir(parents=True)
        for number, content in enumerate(faces[place][:6]):
            (root / "people" / name / f"{number}.jpg").write_bytes(content)
    rng = np.random.default_rng(0)
    for number, content in enumerate(faces[1][6:12]):
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        small = cv2.resize(image, (40, 40), interpolation=cv2.INTER_AREA)
        poor = cv2.resize(small, (112, 112)) + rng.normal(0, 6, (112, 112, 3))
        cv2.imwrite(str(root / f"probe{number}.png"), np.clip(poor, 0, 255).astype(np.uint8))
    (root / "wrong.jpg").write_bytes(b"no image")
    command = [sys.executable, "-m", "probefusion", "enroll", str(root / "g.db"), "--aligned"]
    subprocess.run([*command, "--people", str(root / "people")], check=True, capture_output=True)
    return root


@pytest.fixture(scope="module")
def address(folder):
    """A service over the gallery, ended at the end."""
    command = [sys.executable, "-m", "probefusion", "serve", "--gallery", str(folder / "g.db")]
    process = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        yield re.search(r"http://\S+/", line)[0]
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def browser(chromium):
    with playwright.sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}-{size[1]}")
def page(request, browser, address):
    width, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    faults = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "request",
        lambda each: each.url.startswith((address, "blob:", "data:")) or faults.append(each.url),
    )
    opened.goto(address)
    opened.wait_for_selector("body[data-ready]")
    yield opened
    opened.close()
    assert faults == []


def check_accessible(page) -> None:
    """Nothing serious in the page as it is, and nothing wider than the screen."""
    found = axe.Axe().run(page).response["violations"]
    serious = [item["id"] for item in found if item["impact"] in ("serious", "critical")]
    assert serious == [], found
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_probe_is_fused_and_found(page, folder) -> None:
    page.fill("#fuse-person", "مريم")
    page.press("#fuse-person", "Tab")
    probe = [str(path) for path in sorted(folder.glob("probe*.png"))]
    page.set_input_files("#fuse-files", [*probe, str(folder / "wrong.jpg")])
    page.wait_for_selector("#fuse-left li.out")
    assert "wrong.jpg" in page.inner_text("#fuse-left li.out")
    assert "no JPEG" in page.inner_text("#fuse-left li.out")
    assert page.locator("#fuse-chips li:not(.out)").count() == len(probe)
    assert "6 images fused by exact" in page.inner_text("#fuse-verdict")
    assert "Similarity to مريم as images arrive" in page.inner_text("#fuse-caption")
    assert "plain mean" in page.inner_text("#fuse-caption")
    assert len(page.get_attribute("#fuse-chart polyline.ours", "points").split()) >= 3
    page.fill("#fuse-name", "probe")
    page.check("#fuse-chips-kept")
    page.click("#fuse-search")
    page.wait_for_selector("#fuse-candidates table")
    assert page.inner_text("#fuse-candidates tbody tr:first-child td:last-child") == "مريم"
    check_accessible(page)


def test_a_contribution_is_taken_out_and_put_back(page) -> None:
    page.click("nav a[href='#people']")
    page.wait_for_selector("#people-list button")
    assert page.locator("#people-list button").all_inner_texts() == sorted(NAMES)
    page.click("#people-list button:has-text('Jörg')")
    page.wait_for_selector("#person-contributions > li")
    facts = playwright.expect(page.locator("#person-facts"))
    facts.to_contain_text("6 images")
    page.focus("#person-contributions > li > button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#undo")
    facts.to_contain_text("0 images")
    check_accessible(page)
    page.click("#undo")
    page.wait_for_selector("#person-contributions > li")
    facts.to_contain_text("6 images")


def test_two_sets_are_compared_and_changes_are_listed(page, folder) -> None:
    page.click("nav a[href='#compare']")
    people = folder / "people"
    first = [str(path) for path in sorted((people / "C").glob("*.jpg"))]
    page.set_input_files("#first-files", first[:3])
    page.set_input_files("#second-files", first[3:])
    page.click("#compare")
    page.wait_for_selector("#compare-verdict.yes")
    other = [str(path) for path in sorted((people / "مريم").glob("*.jpg"))]
    page.set_input_files("#second-files", other)
    page.click("#compare")
    page.wait_for_selector("#compare-verdict.no")
    check_accessible(page)
    page.click("nav a[href='#changes']")
    page.wait_for_selector("#changes-list li")
    assert "enroll" in page.inner_text("#changes-list")
    check_accessible(page)


def test_operations_are_shown_offline(page, address) -> None:
    page.goto(f"{address}api.html")
    page.wait_for_selector("#operations details")
    assert "/v1/collections/{collection}/search" in page.inner_text("#operations")
    check_accessible(page)
