"""The console as operators use it: in a real browser, over a real daemon."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.console import hands
from tests.console.conftest import Visitor
from tests.inspector.image_samples import write_twelve_bits
from tests.inspector.tiny_bundle import TWELVE_BITS, bad_picture, good_picture, tiny_fill
from tests.serving import Daemon
from tests.soak.program import call

HEIGHT, WIDTH = 300, 400
GOOD = encode_png(good_picture(1, HEIGHT, WIDTH))
BAD = encode_png(bad_picture(1, HEIGHT, WIDTH))
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[HEIGHT // 8 : HEIGHT // 3, WIDTH // 8 : WIDTH // 3] = True


def test_from_a_dropped_defect_to_a_new_threshold(
    daemon: Daemon, visitor: Visitor, store: Store, tmp_path: Path
) -> None:
    """Drop, look, move the threshold, judge, export, calibrate and evaluate from the export."""
    page = visitor.open(daemon.url)
    expect(page.locator("#state")).to_have_text("live")
    hands.drop(page, "black corner.png", BAD)
    hands.see(page, "fail", "black corner.png")
    assert hands.lies_over(hands.heat(page, HEIGHT, WIDTH), MASK)
    expect(page.locator("#regions-title")).to_have_text("1 region")

    page.locator("#threshold").evaluate(
        "(e) => { e.value = e.max; e.dispatchEvent(new Event('input', { bubbles: true })) }"
    )
    expect(page.locator("#verdict-text")).to_contain_text("none of 19 held-out good pictures scores as high")
    expect(page.locator("#facts")).to_contain_text("38: 19 for training + 19 held out")
    expect(page.locator("#scores-text")).to_contain_text("recent verdicts would change")
    expect(page.locator("#scores-text")).to_contain_text(
        "at most 5 % of good parts would be rejected, on average"
    )
    expect(page.locator("#scores-text")).to_contain_text("pictures scores higher, and 19 cannot show less.")
    page.locator("#reset").click()
    expect(page.locator("#scores-text")).to_contain_text("rejects at most 5 % of good parts")
    expect(page.locator("#scores-text")).to_contain_text("and 19 cannot promise less.")

    page.keyboard.press("d")  # the verdict was wrong: this one counts as good
    expect(page.locator("#judgements")).to_contain_text("the part counts as good")
    for seed in range(20):
        hands.drop(page, f"{seed}.png", encode_png(good_picture(seed, HEIGHT, WIDTH)))
        hands.see(page, "pass", f"{seed}.png")
        page.keyboard.press("a")
        expect(page.locator("#agree")).to_have_attribute("aria-pressed", "true")
    hands.drop(page, "second.png", BAD)
    hands.see(page, "fail", "second.png")
    page.keyboard.press("a")
    expect(page.locator("#judgements")).to_contain_text("the part counts as a defect")
    with page.expect_download() as download:
        page.locator("#export").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path / "export")

    assert len(list((tmp_path / "export/test/good").iterdir())) == 21
    (defect,) = (tmp_path / "export/test/defect").iterdir()
    assert defect.read_bytes() == BAD
    lines = [json.loads(line) for line in (tmp_path / "export/judgements.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines].count("good") == 21
    ended = call("calibrate", tmp_path / "export/test/good", "--model", "tiny", store=store.root)
    assert ended.returncode == 0, ended.stderr
    ended = call(
        "evaluate", tmp_path / "export/test", "--model", "tiny", "--format", "json", store=store.root
    )
    assert json.loads(ended.stdout)["kinds"]["defect"]["images"] == 1
    expect(page.locator("#model")).to_contain_text("tiny@2", timeout=20_000)
    expect(page.locator("#scores-text")).to_contain_text("new good pictures")  # no longer held out
    assert not visitor.complaints
    assert {urlsplit(url).netloc for url in visitor.asked if url.startswith("http")} == {
        urlsplit(daemon.url).netloc
    }


def test_a_fail_without_a_region(daemon: Daemon, visitor: Visitor, store: Store) -> None:
    """A fail below the map's limit shows its strongest place; a part that is unusual everywhere says so."""
    store.publish("tiny", tiny_fill(map_limit=1.0))
    page = visitor.open(daemon.url)
    expect(page.locator("#model")).to_contain_text("tiny@2")
    hands.drop(page, "calm.png", BAD)
    hands.see(page, "fail", "calm.png")
    expect(page.locator("#verdict-text")).to_contain_text("the dashed line marks the strongest")
    expect(page.locator("#regions-title")).to_have_text("Strongest place")
    found = hands.heat(page, HEIGHT, WIDTH)
    around = np.zeros_like(MASK)
    around[HEIGHT // 8 - 12 : HEIGHT // 3 + 12, WIDTH // 8 - 12 : WIDTH // 3 + 12] = True
    assert found[around].max() > 60
    assert found[~around].max() < 30
    hands.drop(page, "lens cap.png", encode_png(np.zeros((HEIGHT, WIDTH, 3), np.uint8)))
    hands.see(page, "fail", "lens cap.png")
    expect(page.locator("#verdict-text")).to_contain_text("no place stands out: the whole picture is unusual")
    expect(page.locator("#regions-box")).to_be_hidden()
    expect(page.locator("#verdict-text")).to_contain_text("unlike every good picture that the model knows")
    expect(page.locator("#stream .word").nth(0)).to_have_text("fail  unfamiliar")
    expect(page.locator("#stream .word").nth(1)).to_have_text("fail")
    assert not visitor.complaints


def test_two_operators(daemon: Daemon, visitor: Visitor) -> None:
    """Two pages show each inspection at once; if operators disagree, both judgements stay."""
    ann, bob = visitor.open(daemon.url), visitor.open(daemon.url)
    for page, name in ((ann, "Ann"), (bob, "Bob")):
        expect(page.locator("#state")).to_have_text("live")
        page.locator("#operator").evaluate(
            f"(e) => {{ e.value = '{name}'; e.dispatchEvent(new Event('input')) }}"
        )
    hands.drop(ann, "part.png", BAD)
    hands.see(bob, "fail", "part.png")
    bob.keyboard.press("d")
    expect(ann.locator("#judgements")).to_have_text("Bob disagrees; the part counts as good.")
    ann.keyboard.press("a")
    for page in (ann, bob):
        expect(page.locator("#judgements")).to_contain_text("Bob disagrees, Ann agrees; disputed")
    ann.locator("#filter").select_option("disputed")
    expect(ann.locator("#stream li")).to_have_count(1)
    assert not visitor.complaints


def test_samples_and_keys(daemon: Daemon, visitor: Visitor) -> None:
    """Samples are golden pictures, good ones first; H hides the heatmap, J and K move in the list."""
    page = visitor.open(daemon.url)
    for number in range(2):
        page.locator("#sample").click()
        hands.see(page, "pass", f"sample-{number}.png")
    page.keyboard.press("h")
    assert page.locator("#heatmap").evaluate("(e) => e.style.opacity") == "0"
    page.keyboard.press("j")
    hands.see(page, "pass", "sample-0.png")
    page.keyboard.press("k")
    hands.see(page, "pass", "sample-1.png")
    assert not visitor.complaints


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("notes.png", b"no picture at all", "notes.png: "),
        ("empty.png", b"", "empty.png: "),
        ("cut.png", GOOD[:300], "cut.png: "),
        ("huge.png", bytes(3_000_000), "more than 2000000 bytes"),
    ],
)
def test_what_is_no_picture(store: Store, visitor: Visitor, name: str, data: bytes, said: str) -> None:
    """A file that is no picture is refused with its name and the reason, and the page goes on."""
    with Daemon(INSPECTOR_MAX_BYTES="2000000") as daemon:
        page = visitor.open(daemon.url)
        hands.drop(page, name, data)
        expect(page.locator("#notice")).to_contain_text(said)
        hands.drop(page, "good.png", GOOD)
        hands.see(page, "pass", "good.png")
        expect(page.locator("#notice")).to_be_hidden()


def test_the_daemon_goes_and_comes_back(store: Store, visitor: Visitor) -> None:
    """The page reports a lost daemon, keeps its content and reconnects; a new daemon starts empty."""
    with Daemon() as first:
        page = visitor.open(first.url)
        hands.drop(page, "one.png", GOOD)
        hands.see(page, "pass", "one.png")
    expect(page.locator("#notice")).to_contain_text("The daemon does not answer")
    expect(page.locator("#verdict-word")).to_have_text("pass")
    hands.drop(page, "two.png", GOOD)
    expect(page.locator("#notice")).to_contain_text("does not answer")
    with Daemon("--port", str(first.port)):
        expect(page.locator("#state")).to_have_text("live", timeout=20_000)
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#stream li")).to_have_count(0)
        hands.drop(page, "three.png", GOOD)
        hands.see(page, "pass", "three.png")


def test_a_daemon_with_keys(store: Store, visitor: Visitor) -> None:
    """The page asks for a key, refuses an unknown one, and says that only admin may export."""
    keys = "score:0123456789abcdef-score,admin:0123456789abcdef-admin"
    with Daemon(INSPECTOR_API_KEYS=keys) as daemon:
        page = visitor.open(daemon.url)
        page.locator("#key").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#key-text")).to_contain_text("not known")
        page.locator("#key").fill("0123456789abcdef-score")
        page.keyboard.press("Enter")
        hands.drop(page, "part.png", BAD)
        hands.see(page, "fail", "part.png")
        expect(page.locator("#stream img.thumb").first).to_have_js_property("complete", True)
        page.locator("#export").click()
        expect(page.locator("#notice")).to_contain_text("the key has the scope 'score'")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390)]
)
def test_everyone_can_use_it(daemon: Daemon, visitor: Visitor, scheme: str, width: int) -> None:
    """axe finds no serious problem, and the page is never wider than the screen."""
    page = visitor.open(daemon.url, scheme=scheme, width=width, height=844)
    hands.drop(page, "good.png", GOOD)
    hands.see(page, "pass", "good.png")
    hands.drop(page, "bad.png", BAD)
    hands.see(page, "fail", "bad.png")
    page.keyboard.press("d")
    expect(page.locator("#judgements")).to_contain_text("disagrees")
    violations = Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in {"serious", "critical"}] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_promoted_model_appears(daemon: Daemon, visitor: Visitor, store: Store) -> None:
    """An open page shows a promoted version without a reload."""
    page = visitor.open(daemon.url)
    expect(page.locator("#model")).to_contain_text("tiny@1")
    store.publish("tiny", tiny_fill(threshold=30.0))
    expect(page.locator("#model")).to_contain_text("tiny@2", timeout=20_000)
    expect(page.locator("#threshold-value")).to_have_text("30.00")


def test_a_pinned_version_judges(visitor: Visitor, store: Store) -> None:
    """The console of a daemon with a fixed version uses this version, also if another one was promoted."""
    store.publish("tiny", tiny_fill(threshold=1000.0))
    with Daemon("--model", "tiny@1") as daemon:
        page = visitor.open(daemon.url)
        expect(page.locator("#model")).to_contain_text("tiny@1")
        hands.drop(page, "part.png", BAD)
        hands.see(page, "fail", "part.png")
        expect(page.locator("#facts")).to_contain_text("tiny@1")
        httpx.post(f"{daemon.url}/v1/score?model=tiny@2", content=GOOD).raise_for_status()
        page.reload()
        expect(page.locator("#model option")).to_have_text(["tiny@1", "tiny@2"])
        page.locator("#model").select_option("tiny@2")
        expect(page.locator("#threshold-value")).to_have_text("1000.00")
        hands.drop(page, "again.png", BAD)
        hands.see(page, "pass", "again.png")
        page.locator("#model").select_option("tiny@1")
        hands.drop(page, "last.png", BAD)
        hands.see(page, "fail", "last.png")


def test_a_picture_of_twelve_bits(daemon: Daemon, visitor: Visitor, store: Store, tmp_path: Path) -> None:
    """The facts count clipped pixels, and give the size that one pixel of the model covers."""
    page = visitor.open(daemon.url)
    store.publish("tiny", tiny_fill(contract=TWELVE_BITS))
    expect(page.locator("#model")).to_contain_text("tiny@2")
    sent = write_twelve_bits(tmp_path / "part.png", good_picture(1, HEIGHT, WIDTH), brighter=3)
    hands.drop(page, "part.png", sent.read_bytes())
    hands.see(page, "pass", "part.png")
    text = page.locator("#verdict-text")
    expect(text).to_contain_text("3 pixels are brighter than the full scale 4095 and were clipped")
    expect(text).to_contain_text("1 pixel of the model covers 6.3 × 4.7 px")
