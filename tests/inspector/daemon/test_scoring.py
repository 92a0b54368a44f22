"""The scoring routes: answers, batches, maps, forms."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import httpx
import numpy as np
import pytest

import inspector
from inspector.bundle.store import Store
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from tests.inspector.conftest import Command
from tests.inspector.daemon.conftest import BAD, GOOD
from tests.inspector.tiny_bundle import good_picture
from tests.serving import Daemon


def test_scores_are_those_of_the_command_line(
    shared_daemon: Daemon,
    shared_store: Store,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer is the object that `inspector score` prints, except for path and times."""
    monkeypatch.setenv("INSPECTOR_STORE", str(shared_store.root))
    for number, data in enumerate((GOOD, BAD)):
        (tmp_path / f"{number}.png").write_bytes(data)
        offline = json.loads(command("score", tmp_path / f"{number}.png", "--format", "jsonl").out)
        for sent in ({"content": data}, {"files": {"image": ("part.png", data)}}):
            online = httpx.post(f"{shared_daemon.url}/v1/score", **sent)
            assert online.status_code == 200
            mine, theirs = online.json(), dict(offline)
            for row in (mine, theirs):
                del row["milliseconds"]
            assert mine.pop("path") == (None if "content" in sent else "part.png")
            assert theirs.pop("path").endswith(f"{number}.png")
            assert mine == theirs


def test_a_batch_keeps_its_order(shared_daemon: Daemon) -> None:
    """A picture at fault is `invalid` and does not affect the other pictures of its batch."""
    files = [("image", (name, data)) for name, data in (("a", GOOD), ("b", b"no picture"), ("c", BAD))]
    results = httpx.post(f"{shared_daemon.url}/v1/score/batch", files=files).json()["results"]
    assert [(row["path"], row["verdict"]) for row in results] == [
        ("a", "pass"),
        ("b", "invalid"),
        ("c", "fail"),
    ]
    assert results[1]["reason"].startswith("unknown_format: ")
    assert results[1]["score"] is None


def test_maps(shared_daemon: Daemon, shared_store: Store) -> None:
    """`map=npy` is the float map of the library, `map=png` the same in grey; by default there is no map."""
    url = f"{shared_daemon.url}/v1/score"
    expected = inspector.open_model(shared_store.path("tiny")).score(BAD).anomaly_map
    assert expected is not None
    sent = httpx.post(url, params={"map": "npy"}, content=BAD).json()["map"]
    np.testing.assert_array_equal(np.load(io.BytesIO(base64.b64decode(sent["data"]))), expected)
    sent = httpx.post(url, params={"map": "png"}, content=BAD).json()["map"]
    grey = decode(base64.b64decode(sent["data"])).pixels
    assert grey.shape == (*expected.shape, 3)
    assert grey[..., 0].argmax() == np.clip(expected, None, 0.5).argmax()
    assert "map" not in httpx.post(url, content=BAD).json()


def test_a_small_picture_is_invalid(shared_daemon: Daemon) -> None:
    """A picture that can be decoded but is at fault is answered 200 with the verdict `invalid`."""
    answer = httpx.post(
        f"{shared_daemon.url}/v1/score", content=encode_png(good_picture(height=20, width=90))
    )
    assert (answer.status_code, answer.json()["verdict"]) == (200, "invalid")
    assert answer.json()["reason"].startswith("too_small")


def test_a_transparent_picture_is_invalid(shared_daemon: Daemon) -> None:
    """A wholly transparent picture is answered 200 with the verdict `invalid`."""
    answer = httpx.post(f"{shared_daemon.url}/v1/score", content=encode_png(np.zeros((64, 64, 4), np.uint8)))
    assert (answer.status_code, answer.json()["verdict"]) == (200, "invalid")
    assert answer.json()["reason"].startswith("transparent")


def test_a_body_in_thousands_of_chunks(shared_daemon: Daemon) -> None:
    """The bytes between chunks do not count as header bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    data = encode_png(noise)
    pieces = (data[start : start + 5] for start in range(0, len(data), 5))
    assert len(data) > 70_000
    assert (
        httpx.post(f"{shared_daemon.url}/v1/score", content=pieces, timeout=30).json()["image"]["width"]
        == 160
    )


def test_a_batch_does_not_keep_decoded_pictures(shared_daemon: Daemon) -> None:
    """The memory of a batch does not grow with its decoded pictures, here 432 MB."""
    flat = encode_png(np.zeros((3000, 3000), np.uint8))
    peaks = []
    for count in (2, 16):
        files = [("image", flat)] * count
        answer = httpx.post(f"{shared_daemon.url}/v1/score/batch", files=files, timeout=60)
        assert len(answer.json()["results"]) == count
        peaks.append(shared_daemon.peak_megabytes)
    assert peaks[1] < peaks[0] + 100


@pytest.mark.parametrize(("charset", "status"), [("undefined", 400), ("utf-7", 200)])
def test_a_form_in_a_strange_charset(shared_daemon: Daemon, charset: str, status: int) -> None:
    """An unreadable charset is refused; a lone surrogate in a file name breaks no later answer."""
    form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="+2AA-.png"\r\n\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    sent = form + GOOD + b"\r\n--b--\r\n"
    assert httpx.post(f"{shared_daemon.url}/v1/score", content=sent, headers=headers).status_code == status
    assert httpx.get(f"{shared_daemon.url}/v1/inspections").status_code == 200
    assert not shared_daemon.events("unexpected")
