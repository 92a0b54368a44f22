"""The import rule: `models` and `calibration` import `inspector`, and `inspector` imports neither."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("inspector", "models", "calibration")
TRAINING_PACKAGES = ("models", "calibration", "torch", "onnx", "onnxscript", "sklearn", "scipy", "jinja2")
HEAVY = (*TRAINING_PACKAGES, "numpy", "cv2", "onnxruntime", "PIL")
ROOT = Path(__file__).parents[2]

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _loaded(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code` ran."""
    script = textwrap.dedent(code) + "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))\n"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "module",
    [
        "inspector",
        "inspector.scoring.detector",
        "inspector.generation.memorisation",
        "inspector.commands.main",
        "inspector.commands.generate",
        "inspector.commands.interpolate",
    ],
)
def test_inspector_loads_no_training_package(module: str) -> None:
    """A fresh interpreter that imports a module of `inspector` loads neither torch nor scikit-learn."""
    assert not _loaded(f"import {module}") & set(TRAINING_PACKAGES)


def test_public_names_load_no_training_package() -> None:
    """Touching every public name of `inspector` loads neither torch nor scikit-learn."""
    assert not _loaded("import inspector\n[getattr(inspector, name) for name in inspector.__all__]") & set(
        TRAINING_PACKAGES
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in ("score", "fit", "generate", "interpolate")),
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """`--help` and `--version` answer without numpy, cv2, onnxruntime and the training packages."""
    loaded = _loaded(
        f"""
        import contextlib, sys
        from inspector.commands.main import main
        sys.argv = ["inspector", *{arguments!r}]
        with contextlib.suppress(SystemExit):
            main()
        """
    )
    assert not loaded & set(HEAVY)


def _lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the project's own contracts on the packages in `directory`."""
    program = Path(sys.executable).with_name("lint-imports")
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    return subprocess.run(
        [str(program), *options], cwd=directory, capture_output=True, text=True, check=False
    )


def test_contracts_hold() -> None:
    """import-linter finds every contract of pyproject.toml kept."""
    run = _lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


def _public(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Public functions and classes at the top of a module, and the public methods of those classes."""
    for node in tree.body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield f"{node.name}.{member.name}", member


def _sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_public_means_documented(path: Path) -> None:
    """Every module, public class, function and method says in a docstring what it is for."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = [name for name, node in _public(tree) if not ast.get_docstring(node)]
    assert ast.get_docstring(tree), "the module has no docstring"
    assert not missing


def test_the_one_door_makes_no_static_edge() -> None:
    """Only `inspector/extras.py` imports `models` and `calibration`, by name and at the moment of use."""
    users = []
    for path in sorted((ROOT / "inspector").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        dynamic = any(
            isinstance(node, ast.Attribute) and node.attr == "import_module" for node in ast.walk(tree)
        )
        dynamic |= any(isinstance(node, ast.Name) and node.id == "import_module" for node in ast.walk(tree))
        if dynamic:
            users.append(path.relative_to(ROOT).as_posix())
    assert "inspector/extras.py" in users
    assert set(users) <= {"inspector/extras.py", "inspector/commands/main.py", "inspector/__init__.py"}


VIOLATIONS = {
    "inspector/rogue.py": ("models", "inspector imports neither models nor calibration, nor their libraries"),
    "inspector/heavy.py": ("torch", "inspector imports neither models nor calibration, nor their libraries"),
    "calibration/rogue.py": (
        "models",
        "models imports calibration, both import inspector, never the reverse",
    ),
    "models/picture.py": ("cv2", "cv2 has few doors"),
    "calibration/run.py": ("onnxruntime", "onnxruntime has two doors"),
    "calibration/deep.py": ("torch", "torch only below models"),
    "models/learn.py": ("sklearn", "scikit-learn only below calibration"),
    "calibration/open.py": ("PIL", "Pillow only in inspector.imaging"),
}


def test_broken_contracts_are_found(tmp_path: Path) -> None:
    """One import against each rule makes import-linter fail and name the contract and the import."""
    for source in _sources():
        target = tmp_path / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    for path, (imported, _) in VIOLATIONS.items():
        (tmp_path / path).write_text(f'"""Against the rule."""\n\nimport {imported}\n', encoding="utf-8")
    run = _lint_imports(tmp_path)
    said = " ".join(run.stdout.split())
    assert run.returncode == 1, run.stdout + run.stderr
    for path, (imported, contract) in VIOLATIONS.items():
        module = path.removesuffix(".py").replace("/", ".")
        assert f"{contract} BROKEN" in said
        assert f"{module} -> {imported}" in said
