"""Multipart forms: parts with and without a file name, and parts of another name."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from inspector.daemon.schemas import ScoreQuery
from inspector.daemon.uploads import QUERY_EXAMPLES
from inspector.imaging.encode import encode_png
from inspector.imaging.files import printable
from tests.inspector.daemon.conftest import BAD, GOOD
from tests.serving import Daemon

NOISE = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
LARGE = encode_png(NOISE)  # 1.5 MB
HEADERS = {"Content-Type": "multipart/form-data; boundary=b"}


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form of these parts; each has the rest of its headers, and its data."""
    head = "--b\r\nContent-Disposition: form-data; "
    return b"".join(head.encode() + rest.encode() + b"\r\n\r\n" + data + b"\r\n" for rest, data in parts) + (
        b"--b--\r\n"
    )


def facts(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without name and times."""
    return {name: value for name, value in answer.items() if name not in {"path", "milliseconds"}}


@pytest.mark.parametrize("data", [GOOD, BAD, LARGE], ids=["good", "bad", "1.5 MB"])
@pytest.mark.parametrize("media_type", ["", "\r\nContent-Type: image/png", "\r\nContent-Type: text/plain"])
def test_a_part_needs_no_file_name(shared_daemon: Daemon, data: bytes, media_type: str) -> None:
    """A part `image` is scored with a file name and without, whatever type it has."""
    url = f"{shared_daemon.url}/v1/score"
    expected = httpx.post(url, content=data).json()
    for rest, name in (
        ('name="image"', None),
        ("name=image", None),
        ('name="image"; filename=""', None),
        ('name="image"; filename="part.png"', "part.png"),
    ):
        answer = httpx.post(url, content=form((rest + media_type, data)), headers=HEADERS)
        assert answer.status_code == 200, answer.text
        assert answer.json()["path"] == name
        assert facts(answer.json()) == facts(expected)


def test_a_batch_needs_no_file_names(shared_daemon: Daemon) -> None:
    """Parts with and without file names are scored in their order; other parts are ignored."""
    sent = form(
        ('name="image"', LARGE),
        ('name="note"', b"x" * 2_000_000),
        ('name="image"; filename="b.png"', BAD),
        ('name="image"', GOOD),
        ('name="image"', b"no picture"),
    )
    answer = httpx.post(f"{shared_daemon.url}/v1/score/batch", content=sent, headers=HEADERS)
    results = answer.json()["results"]
    assert [(row["path"], row["verdict"]) for row in results] == [
        (None, "pass"),
        ("b.png", "fail"),
        (None, "pass"),
        (None, "invalid"),
    ]


@pytest.mark.parametrize("route", ["/v1/score", "/v1/score/batch"])
@pytest.mark.parametrize("data", [GOOD, LARGE], ids=["small", "1.5 MB"])
def test_a_part_of_another_name_is_named(shared_daemon: Daemon, route: str, data: bytes) -> None:
    """If no part is called `image`, the error names the parts that were sent."""
    for rests, said in (
        (['name="file"; filename="part.png"'], "'file'"),
        (['name="file"'], "'file'"),
        (['name="note"', 'name="image[]"', 'name="note"'], "'note', 'image[]'"),
        (['name="' + "é\x01" * 200 + '"'], "'" + "é\\x01" * 20 + "'"),
        ([], "none"),
    ):
        sent = form(*((rest, data) for rest in rests))
        answer = httpx.post(f"{shared_daemon.url}{route}", content=sent, headers=HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
        assert answer.json()["detail"] == f"the form has no part 'image'; its parts: {said}"
        assert "'image'" in answer.json()["hint"]


@pytest.mark.parametrize("route", ["/v1/score", "/v1/score/batch"])
@pytest.mark.parametrize("name", ScoreQuery.model_fields)
def test_a_parameter_is_no_part(shared_daemon: Daemon, route: str, name: str) -> None:
    """A part that is called as a parameter would have no effect: the hint shows where to put it."""
    for rest in (f'name="{name}"', f'name="{name}"; filename="x"'):
        for parts in ([("name=image", GOOD), (rest, b"tiny")], [(rest, b""), ("name=image", GOOD)]):
            answer = httpx.post(f"{shared_daemon.url}{route}", content=form(*parts), headers=HEADERS)
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
            assert f"'{name}'" in answer.json()["detail"]
            assert answer.json()["hint"] == f"put it into the address: ?{name}={QUERY_EXAMPLES[name]}"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("2%22 pipe.png", '2" pipe.png'),
        ("a%0D%0Ab.png", "a\r\nb.png"),
        ("50%25 %41%2F%0d.png", "50%25 %41%2F%0d.png"),
        ("100%.png", "100%.png"),
        ("größe.png", "größe.png"),
    ],
)
def test_file_names_are_unescaped_as_forms_escape_them(shared_daemon: Daemon, sent: str, name: str) -> None:
    """A quote and line breaks are decoded, as the encoding of forms escapes them, and nothing else."""
    content = form((f'name="image"; filename="{sent}"', GOOD))
    answer = httpx.post(f"{shared_daemon.url}/v1/score", content=content, headers=HEADERS)
    assert answer.json()["path"] == name
    bad = form((f'name="image"; filename="{sent}"', b"GIF89a"))
    refused = httpx.post(f"{shared_daemon.url}/v1/score", content=bad, headers=HEADERS).json()
    assert refused["detail"].startswith(f"{printable(name)} is a GIF")


@pytest.mark.parametrize(
    "rests", [['name="image"'], ['name="image"; filename="a"'], ["name=image", "name=b"]]
)
def test_too_many_parts_are_refused(shared_daemon: Daemon, rests: list[str]) -> None:
    """257 parts are refused, with file names or without."""
    sent = form(*((rests[0], GOOD) for _ in range(257)), *((rest, GOOD) for rest in rests[1:]))
    answer = httpx.post(f"{shared_daemon.url}/v1/score/batch", content=sent, headers=HEADERS)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert "256" in answer.json()["detail"] + answer.json()["hint"]


def test_a_content_type_without_boundary(shared_daemon: Daemon) -> None:
    """A client that sets the content type of its form itself is told to leave that to its library."""
    headers = {"Content-Type": "multipart/form-data"}
    answer = httpx.post(f"{shared_daemon.url}/v1/score", content=form(("name=image", GOOD)), headers=headers)
    assert answer.status_code == 400
    assert "boundary" in answer.json()["detail"]
    assert "let the HTTP library set Content-Type" in answer.json()["hint"]


def test_a_form_that_ends_early(shared_daemon: Daemon) -> None:
    """A form without its closing boundary is refused, so that no picture of a batch is lost silently."""
    whole = form(("name=image", GOOD), ("name=image", BAD))
    for sent in (whole[:100], whole[: len(whole) // 2], whole.removesuffix(b"--b--\r\n"), b"--b\r\n"):
        answer = httpx.post(f"{shared_daemon.url}/v1/score/batch", content=sent, headers=HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
        assert "it ends before its closing boundary" in answer.json()["detail"]
    unended = httpx.post(
        f"{shared_daemon.url}/v1/score/batch", content=whole.removesuffix(b"\r\n"), headers=HEADERS
    )
    assert len(unended.json()["results"]) == 2
