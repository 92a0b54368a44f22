"""The command line turns every error into one line, one hint and one exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import typer

from inspector import errors
from inspector.bundle.store import Store
from inspector.commands import exits, main
from inspector.errors import InspectorError, UsageError, error_classes
from tests.inspector.conftest import Command, unmeasured
from tests.inspector.tiny_bundle import good_picture, tiny_fill, write_picture


def exit_code_of(exc: BaseException, debug: bool = False) -> int:
    """Return the exit code that the command line gives to an exception."""

    def run() -> int:
        raise exc

    return main._exit_code_of(run, debug)


# --- the table ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", error_classes(InspectorError)[1:], ids=lambda kind: kind.__name__)
def test_every_error_has_the_exit_code_of_its_branch(kind: type[InspectorError]) -> None:
    """Each class of the error tree belongs to a branch of the table; none ends as `unexpected`."""
    branch = next(base for base in kind.__mro__ if base.__base__ is InspectorError)
    assert exits.exit_code(kind("x")) == exits.BRANCHES[branch]


def test_branches_have_codes_of_their_own() -> None:
    """Each branch has a code of its own, and no branch has the code of a verdict."""
    codes = list(exits.BRANCHES.values())
    assert len(set(codes)) == len(codes)
    assert exits.PASSED not in codes
    assert exits.FAILED not in codes
    assert set(exits.BRANCHES) == {
        kind for kind in error_classes(InspectorError) if kind.__base__ is InspectorError
    }


def test_the_drawn_tree_is_the_tree() -> None:
    """The docstring of `inspector.errors` draws every class."""
    drawn = errors.__doc__ or ""
    assert not [kind.__name__ for kind in error_classes(InspectorError) if f" {kind.__name__}" not in drawn]


# --- from exceptions to lines ---------------------------------------------------------------


def test_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    """An `InspectorError` becomes `error:` and `hint:` on stderr; stdout stays empty."""
    assert exit_code_of(UsageError("--x is 3; allowed is 1 or 2", hint="choose 1")) == 2
    said = capsys.readouterr()
    assert said.err == "error: --x is 3; allowed is 1 or 2\nhint: choose 1\n"
    assert not said.out


def test_a_message_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends, control characters and broken bytes in a message cannot forge another line."""
    exit_code_of(UsageError("a\nerror: \x1b[31mb\udcff \u2028c", hint="d\r\ne"))
    error, hint = capsys.readouterr().err.splitlines()
    assert error == r"error: a error: \x1b[31mb\udcff  c"
    assert hint == "hint: d e"


def test_an_unexpected_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A bug ends with 70 and asks for `--debug`; it shows no traceback by itself."""
    assert exit_code_of(ValueError("odd")) == exits.UNEXPECTED
    said = capsys.readouterr().err
    assert said.startswith("error: unexpected ValueError: odd\nhint: ")
    assert "--debug" in said
    assert "Traceback" not in said


def test_debug_shows_the_traceback_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--debug`, or `INSPECTOR_DEBUG`, the traceback comes before the two lines."""
    exit_code_of(ValueError("odd"), debug=True)
    monkeypatch.setenv("INSPECTOR_DEBUG", "1")
    exit_code_of(ValueError("odd"))
    said = capsys.readouterr().err
    assert said.count("Traceback (most recent call last)") == 2
    assert said.splitlines()[-2].startswith("error: ")


def test_the_operating_system_speaks_as_storage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An unexpected `OSError` becomes a storage error that names its file."""
    assert exit_code_of(PermissionError(13, "Permission denied", str(tmp_path / "a"))) == 6
    assert exit_code_of(OSError(28, "No space left on device")) == 6
    said = capsys.readouterr().err
    assert f"error: not permitted: {tmp_path / 'a'}" in said
    assert "error: reading or writing failed: [Errno 28] No space left on device" in said


def test_a_missing_extra_is_named_wherever_it_is_imported(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A failed import of a package of an extra says what to install; any other failed import is a bug."""
    import inspector

    def fail(name: str) -> None:
        def open_model(*_: object, **__: object) -> None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(inspector, "open_model", open_model)

    picture = write_picture(tmp_path / "a.png", good_picture())
    fail("torch.nn")
    ended = command("score", picture)
    assert ended.code == 7
    assert ended.err.startswith("error: 'inspector score' needs torch")
    fail("nonsense")
    assert command("score", picture).code == exits.UNEXPECTED


def test_stopped_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C and a refused question end with 130 and one word."""
    assert exit_code_of(KeyboardInterrupt()) == exit_code_of(typer.Abort()) == exits.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\ninterrupted\n"


# --- usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scoer"], "there is no command 'scoer'"),
        (["xyzzy"], "there is no command 'xyzzy'"),
        (["--frobnicate"], "no such option: --frobnicate"),
        (["score"], "missing argument 'PATH'"),
        (["score", "--format", "xml", "a"], "'xml' is not one of 'table', 'json', 'jsonl', 'csv'"),
        (["score", "--threads", "many", "a"], "'many'"),
        (["score", "--threads", "-1", "a"], "'-1'"),
        (["score", "--heatmaps"], "'--heatmaps' requires an argument"),
        (["models", "frobnicate"], "'frobnicate'"),
        (["models", "remove"], "missing argument"),
    ],
    ids=" ".join,
)
def test_usage_errors_name_the_value(
    command: Command, store: Store, arguments: list[str], message: str
) -> None:
    """A wrong command line gets one line with the wrong value, one hint and exit code 2."""
    ended = command(*arguments)
    assert ended.code == exits.USAGE
    assert not ended.out
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert hint.startswith("hint: ")


def test_a_typo_gets_a_suggestion(command: Command) -> None:
    """The hint suggests the command with the most similar name."""
    assert "'score'" in command("scoer").err
    assert "fit, score" in command("xyzzy").err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["models"], ["score", "--help"]])
def test_help_is_data(command: Command, arguments: list[str]) -> None:
    """Help goes to stdout with an example and exit code 0; a call without arguments shows it, too."""
    ended = command(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert "Usage: inspector" in ended.out
    assert "Example:" in ended.out


def test_version(command: Command) -> None:
    """`--version` prints the installed version."""
    from inspector import __version__

    assert command("--version").out == f"inspector {__version__}\n"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_is_taken_anywhere(command: Command, store: Store, place: int) -> None:
    """`--debug` works before and after a command, but not behind `--`."""
    arguments = ["score", "nothing.png"]
    arguments.insert(place, "--debug")
    assert "Traceback" in command(*arguments).err
    assert "--debug does not exist" in command("score", "--", "--debug").err


# --- a process of its own -------------------------------------------------------------------


@pytest.fixture
def many(store: Store, tmp_path: Path) -> Path:
    """Publish a model, and make more pictures than a pipe holds rows of."""
    store.publish("tiny", tiny_fill())
    first = write_picture(tmp_path / "many" / "0.png", good_picture())
    for i in range(1, 400):
        (tmp_path / "many" / f"{i}.png").hardlink_to(first)
    return tmp_path / "many"


@contextmanager
def started(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Start the program, and give the process and its stdout."""
    program = [sys.executable, "-m", "inspector", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdout=pipe, stderr=pipe, env=unmeasured()) as process:
        assert process.stdout is not None
        yield process, process.stdout


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_reader_that_leaves_is_no_error(many: Path, threads: str) -> None:
    """`inspector score … | head -1` ends silently, with the exit code of a broken pipe."""
    with started("score", many, "--threads", threads) as (program, rows):
        assert rows.readline().startswith(b"{")
        rows.close()
        assert program.wait(timeout=60) == exits.BROKEN_PIPE
        assert program.stderr is not None
        assert program.stderr.read() == b""


@pytest.mark.parametrize("threads", ["1", "3"])
def test_ctrl_c_is_one_word(many: Path, threads: str) -> None:
    """SIGINT during scoring ends with 130 and one word; every printed row is complete."""
    with started("score", many, "--format", "jsonl", "--threads", threads) as (program, rows):
        first = rows.readline()
        program.send_signal(signal.SIGINT)
        rest, err = program.communicate(timeout=60)
    assert program.returncode == exits.INTERRUPTED
    assert err == b"interrupted\n"
    assert (first + rest).endswith(b"}\n")


def test_stdout_on_a_full_disk(many: Path) -> None:
    """If the rows cannot be written, the exit code is that of a storage error, not of a verdict."""
    program = [sys.executable, "-m", "inspector", "score", str(many / "0.png")]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 6
    assert ended.stderr.startswith(b"error: reading or writing failed")
    assert b"Traceback" not in ended.stderr
    assert b"Exception ignored" not in ended.stderr


HELP_OF_EVERY_VERB = """
import sys
from inspector.commands.main import COMMANDS, main
for words in ([], *([name] for name in COMMANDS)):
    sys.argv = ["inspector", *words, "--help"]
    assert main() == 0
print(*sys.modules)
"""
HEAVY = {"numpy", "cv2", "onnxruntime", "PIL", "rich", "torch", "onnx", "sklearn", "scipy", "jinja2"}


def test_help_imports_one_module_for_each_verb() -> None:
    """The help of every verb loads only the verbs and the modules that state their options."""
    ended = subprocess.run(
        [sys.executable, "-c", HELP_OF_EVERY_VERB], capture_output=True, text=True, check=True
    )
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert not HEAVY & loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("inspector.")}
    assert rooms <= {"commands", "errors", "imaging", "bundle", "rate", "process"}
    assert not {"inspector.bundle.store", "inspector.imaging.decode"} & loaded


@pytest.mark.parametrize("words", [("list",), ("show", "nope")])
def test_reading_the_store_loads_no_numpy(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts from the JSON files of the store are printed without importing numpy."""
    monkeypatch.setenv("INSPECTOR_STORE", str(tmp_path))
    program = "import sys; from inspector.commands.main import main; main(); print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program, "models", *words], capture_output=True, text=True, check=True
    )
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "inspector.bundle.store" in loaded
    assert not HEAVY & loaded


UNNEEDED = HEAVY - {"numpy", "cv2", "onnxruntime", "PIL"} | {
    *("fastapi", "html", "prometheus_client", "psutil", "tomllib", "uvicorn"),
    *("inspector.commands.progress", "inspector.scoring.autoencoder", "inspector.scoring.notebook"),
}


def test_scoring_one_picture_loads_what_it_needs(store: Store, tmp_path: Path) -> None:
    """`score` of one picture loads no module that serves other commands, or errors alone."""
    store.publish("tiny", tiny_fill())
    picture = write_picture(tmp_path / "part.png", good_picture())
    program = "import sys; from inspector.commands.main import main; main(); print(*sys.modules)"
    words = [sys.executable, "-c", program, "score", str(picture)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True, env=unmeasured())
    verdict, modules = ended.stdout.splitlines()
    assert '"verdict": "pass"' in verdict
    loaded = set(modules.split())
    assert not UNNEEDED & loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("inspector.")}
    assert rooms <= {
        "bundle",
        "commands",
        "errors",
        "imaging",
        "process",
        "rate",
        "scoring",
        "settings",
        "types",
    }
