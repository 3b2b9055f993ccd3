"""The page of the service in a real browser: narrow and wide, light and dark."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from gallery_history import add_changes

from probefusion.gallery import Gallery

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
    yield from opened_page(browser, address, *request.param)


@pytest.fixture
def phone(browser, address):
    """The page in one size, for what does not hang on it."""
    yield from opened_page(browser, address, *SIZES[1])


def opened_page(browser, address, width, scheme):
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


def test_who_is_opened_while_the_rest_is_still_read_stays_open(phone) -> None:
    waiting = []
    phone.route("**/held*", lambda route: waiting.append(route))
    phone.click("nav a[href='#people']")
    phone.click("#people-list button:has-text('Jörg')")
    expect(phone, "#person-facts").to_contain_text("6 images")
    assert waiting
    for route in waiting:
        route.continue_()
    phone.unroute("**/held*")
    phone.wait_for_load_state("networkidle")
    expect(phone, "#person").to_be_visible()
    expect(phone, "#person-facts").to_contain_text("6 images")


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


def expect(page, selector: str):
    return playwright.expect(page.locator(selector))


def test_no_image_is_lost_without_a_word(phone, folder) -> None:
    (folder / "clip.mp4").write_bytes(b"no clip")
    crops = [str(path) for path in sorted((folder / "people" / "C").glob("*.jpg"))]
    phone.fill("#fuse-person", "Nobody at all")
    phone.press("#fuse-person", "Tab")
    phone.set_input_files("#fuse-files", [*crops[:2], str(folder / "clip.mp4"), *crops[2:]])
    expect(phone, "#fuse-verdict").to_contain_text("6 images fused")
    expect(phone, "#message").to_contain_text("Nobody is called Nobody at all")
    assert "clip.mp4" in phone.inner_text("#fuse-left")
    assert "cannot play" in phone.inner_text("#fuse-left")
    assert phone.inner_text("#fuse-count") == "6 used, 1 left out"
    phone.fill("#fuse-person", "C")
    phone.press("#fuse-person", "Tab")
    expect(phone, "#fuse-verdict").to_contain_text("Match: 1.000")
    assert phone.inner_text("#message") == ""
    phone.click("#fuse-clear")
    expect(phone, "#fuse-chips li").to_have_count(0)


def test_what_breaks_on_the_way_is_sent_again(phone, folder) -> None:
    crops = [str(path) for path in sorted((folder / "people" / "C").glob("*.jpg"))]
    phone.set_input_files("#fuse-files", crops[:3])
    expect(phone, "#fuse-verdict").to_contain_text("3 images fused")
    phone.route("**/v1/sessions/**", lambda route: route.abort())  # the service is gone
    phone.set_input_files("#fuse-files", crops[3:5])
    expect(phone, "#message").to_contain_text("cannot be reached")
    assert phone.inner_text("#fuse-count") == "3 used, 0 left out, 2 to be sent"
    gone = {"type": "urn:probefusion:problem:unknown-session", "detail": "none of this id"}
    refused = []

    def forgotten(route) -> None:  # it is back, and has forgotten the session
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        route.fulfill(status=404, json=gone)

    phone.unroute("**/v1/sessions/**")
    phone.route("**/v1/sessions/**", forgotten)
    phone.click("#fuse-rest")
    expect(phone, "#fuse-verdict").to_contain_text("5 images fused")
    assert phone.inner_text("#fuse-count") == "5 used, 0 left out"
    assert len(refused) == 1
    assert not phone.is_visible("#fuse-rest")


def test_a_set_of_two_people_is_no_match(phone, folder) -> None:
    people = folder / "people"
    first, other = (
        [str(path) for path in sorted((people / name).glob("*.jpg"))] for name in ("C", "مريم")
    )
    phone.fill("#fuse-person", "C")
    phone.press("#fuse-person", "Tab")
    phone.set_input_files("#fuse-files", first)
    expect(phone, "#fuse-verdict").to_contain_text("6 images fused")
    assert phone.locator("#fuse-verdict.yes").count() == 1
    phone.set_input_files("#fuse-files", other)
    expect(phone, "#fuse-verdict").to_contain_text("12 images fused")
    expect(phone, "#fuse-verdict").to_contain_text("Do not rely on it")
    assert phone.locator("#fuse-verdict.yes").count() == 0
    assert "falls apart" in phone.inner_text("#fuse-warnings")
    phone.click("#fuse-search")
    phone.wait_for_selector("#fuse-candidates table")
    assert "falls apart" in phone.inner_text("#fuse-candidates .warnings")
    phone.fill("#fuse-name", "Jörg Müßig")
    phone.click("#fuse-add")
    expect(phone, "#message").to_contain_text("held back")
    phone.click("nav a[href='#people']")
    expect(phone, "#held-list li").to_have_count(1)
    assert "falls apart" in phone.inner_text("#held-list")
    check_accessible(phone)
    phone.focus("#held-list button:has-text('Reject')")
    phone.keyboard.press("Enter")
    expect(phone, "#held").to_be_hidden()
    phone.click("nav a[href='#changes']")
    expect(phone, "#changes-list li >> nth=0").to_contain_text("reject Jörg Müßig by local")
    phone.click("nav a[href='#compare']")
    phone.set_input_files("#first-files", first)
    phone.set_input_files("#second-files", [*first[:3], str(folder / "wrong.jpg")])
    phone.click("#compare")
    expect(phone, "#compare-verdict").to_contain_text("6 and 3 images. Match")
    assert phone.inner_text("#second-count") == "3 used, 1 left out"
    assert "wrong.jpg" in phone.inner_text("#second-chips li.out")


def test_people_are_found_by_a_part_of_the_name(phone) -> None:
    phone.click("nav a[href='#people']")
    expect(phone, "#people-list button").to_have_count(3)
    phone.fill("#people-find", "MÜSS")
    expect(phone, "#people-count").to_have_text("1 person found")
    assert phone.locator("#people-list button").all_inner_texts() == ["Jörg Müßig"]
    phone.fill("#people-find", "nobody")
    expect(phone, "#people-list").to_have_text("Nobody has such a name.")
    check_accessible(phone)


def test_older_changes_come_when_they_are_asked_for(phone, folder) -> None:
    with Gallery(folder / "g.db") as gallery:
        add_changes(gallery, 401 - gallery.revision, of=(gallery.person("C").id,))
    phone.click("nav a[href='#changes']")
    changes = phone.locator("#changes-list li")
    expect(phone, "#changes-list li").to_have_count(200)
    phone.click("#changes-more")
    expect(phone, "#changes-list li").to_have_count(400)
    check_accessible(phone)
    phone.click("#changes-more")
    expect(phone, "#changes-list li").to_have_count(401)
    expect(phone, "#changes-more").to_be_hidden()
    assert "enroll" in changes.last.inner_text()
    assert "(revision 1)" in changes.last.inner_text()


def test_operations_are_shown_offline(page, address) -> None:
    page.goto(f"{address}api.html")
    page.wait_for_selector("#operations details")
    assert "/v1/collections/{collection}/search" in page.inner_text("#operations")
    check_accessible(page)
