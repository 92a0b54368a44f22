"""The names that `import inspector` gives, and the mistakes that `open_model` refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import inspector
from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill, write_picture

PUBLIC = ["Detector", "Inspection", "InspectorError", "__version__", "open_model"]


def test_dir_lists_the_public_names_alone() -> None:
    """`dir(inspector)` is what `from inspector import *` gives, also after submodules were loaded."""
    import inspector.drift

    assert dir(inspector) == sorted(inspector.__all__) == PUBLIC
    assert all(getattr(inspector, name) for name in PUBLIC)


def test_dir_loads_nothing() -> None:
    """Listing the names in a fresh interpreter imports neither numpy nor ONNX Runtime."""
    program = (
        "import sys, inspector; dir(inspector); print('numpy' in sys.modules, 'onnxruntime' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "fragment"),
    [
        ((3,), {}, TypeError, "not by 3 of type int"),
        ((b"tiles",), {}, TypeError, "bytes"),
        ((["tiles"],), {}, TypeError, "list"),
        (("tiles",), {"threads": -1}, ValueError, "threads is -1; allowed is a whole number from 0"),
        (("tiles",), {"threads": 2.5}, ValueError, "threads is 2.5"),
        (("tiles",), {"store": 3}, ValueError, "store is 3; allowed is the path of a folder"),
    ],
)
def test_mistakes(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], fragment: str
) -> None:
    """A wrong argument of `open_model` is refused in one line that names it."""
    with pytest.raises(error) as caught:
        inspector.open_model(*arguments, **options)
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


def test_open_model_takes_text_and_paths(tiny: Bundle) -> None:
    """A model is opened by text and by path, from a store that is named by text."""
    for reference in (tiny.path, str(tiny.path)):
        opened = inspector.open_model(reference, store=str(Path("no-store")), threads=1)
        assert opened.settings.store == Path("no-store")
        assert opened.settings.threads == 1


def test_the_guide_runs(
    store: Store,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The examples of the guide on Python run in their order, and print what they say."""
    store.publish("washers", tiny_fill())
    write_picture(tmp_path / "part.png", bad_picture(height=96, width=128))
    write_picture(tmp_path / "parts" / "good.png", good_picture())
    write_picture(tmp_path / "parts" / "bad.png", bad_picture())
    monkeypatch.chdir(tmp_path)
    guide = (project / "docs" / "guides" / "python.md").read_text(encoding="utf-8")
    seen: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", guide, flags=re.DOTALL | re.MULTILINE):
        exec(block, seen)  # noqa: S102  # our own documentation
    assert seen["failed"] == ["parts/bad.png"]
    assert seen["heatmap"].shape == (96, 128, 3)
    assert seen["inspection"].reason == "unknown_format"
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+ \d+ \d+ \d+ \S+", printed[0])
    assert "numpy.rint(picture * 255).astype(numpy.uint8)" in printed[-1]
