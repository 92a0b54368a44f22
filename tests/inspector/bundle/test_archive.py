"""A model as one file: packed bundles unpack unchanged, forged files are refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.bundle import archive
from inspector.bundle.folder import Bundle
from inspector.errors import BundleError, ForbiddenFileError, MissingFileError, UsageError

Change = Callable[[tarfile.TarFile, tarfile.TarInfo, bytes], None]


def forge(source: Path, target: Path, change: Change) -> Path:
    """Write `source` again; `change` gets each member and adds what it returns."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old.getmembers():
            stream = old.extractfile(member)
            assert stream is not None
            change(new, member, stream.read())
    return target


def add(
    tar: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> None:
    """Add one member of any kind."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(content), kind, link
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def packed(tiny: Bundle, tmp_path: Path) -> Path:
    """The tiny model as one file."""
    archive.pack(tiny, tmp_path / "tiny.inspector")
    return tmp_path / "tiny.inspector"


def unpacked(file: Path, tmp_path: Path) -> Path:
    """Unpack into a new folder inside an empty one, so that a file outside would be seen."""
    folder = tmp_path / "cage" / "folder"
    folder.mkdir(parents=True)
    archive.unpack(file, folder)
    return folder


def test_there_and_back(tiny: Bundle, packed: Path, tmp_path: Path) -> None:
    """The unpacked bundle equals the packed one, byte for byte."""
    assert archive.read_manifest(packed) == tiny.manifest
    assert Bundle.open(unpacked(packed, tmp_path)).digest == tiny.digest


def test_the_same_model_makes_the_same_file(tiny: Bundle, packed: Path, tmp_path: Path) -> None:
    """The file holds neither time nor user."""
    archive.pack(tiny, tmp_path / "again.inspector")
    assert (tmp_path / "again.inspector").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../escape.json", tarfile.REGTYPE, ""),
        ("/tmp/escape.json", tarfile.REGTYPE, ""),  # noqa: S108 - must be refused
        ("weights.pkl", tarfile.REGTYPE, ""),
        ("extra.json", tarfile.REGTYPE, ""),
        ("report.html", tarfile.SYMTYPE, "/etc/passwd"),
        ("report.html", tarfile.LNKTYPE, "manifest.json"),
        ("report.html", tarfile.FIFOTYPE, ""),
        ("report.html", tarfile.CHRTYPE, ""),
        ("golden", tarfile.DIRTYPE, ""),
        ("report.html", tarfile.REGTYPE, ""),
        ("manifest.json", tarfile.REGTYPE, ""),
    ],
)
def test_only_what_the_manifest_lists_is_unpacked(
    packed: Path, tmp_path: Path, name: str, kind: bytes, link: str
) -> None:
    """Names that lead outside, links, devices, duplicates and unlisted files are refused before writing."""

    def change(new: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
        add(new, member.name, content)
        if member.name == "report.html":
            add(new, name, b"", kind, link)

    forged = forge(packed, tmp_path / "forged.inspector", change)
    with pytest.raises(BundleError):
        unpacked(forged, tmp_path)
    assert not list((tmp_path / "cage" / "folder").iterdir())
    assert len(list((tmp_path / "cage").iterdir())) == 1


def test_a_link_instead_of_a_file_is_refused(packed: Path, tmp_path: Path) -> None:
    """A link under a listed name is refused, whatever it points to."""

    def change(new: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
        if member.name == "report.html":
            add(new, member.name, kind=tarfile.SYMTYPE, link="/etc/passwd")
        else:
            add(new, member.name, content)

    with pytest.raises(ForbiddenFileError, match=r"report\.html"):
        unpacked(forge(packed, tmp_path / "forged.inspector", change), tmp_path)


def test_sizes_are_those_of_the_manifest(packed: Path, tmp_path: Path) -> None:
    """A member larger than its size in the manifest is refused before it is written."""

    def change(new: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
        add(new, member.name, content + b"\0" * (member.name == "encoder.onnx"))

    with pytest.raises(BundleError, match=r"encoder\.onnx has"):
        unpacked(forge(packed, tmp_path / "forged.inspector", change), tmp_path)


def test_without_a_manifest_it_is_no_model(packed: Path, tmp_path: Path) -> None:
    """A tar without a manifest is named, and so is a tar whose manifest is a link."""

    def drop(new: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
        if member.name != "manifest.json":
            add(new, member.name, content)

    def link(new: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
        if member.name == "manifest.json":
            add(new, member.name, kind=tarfile.SYMTYPE, link="report.html")
        else:
            add(new, member.name, content)

    with pytest.raises(MissingFileError, match=r"manifest\.json"):
        archive.read_manifest(forge(packed, tmp_path / "dropped.inspector", drop))
    with pytest.raises(ForbiddenFileError, match=r"manifest\.json"):
        archive.read_manifest(forge(packed, tmp_path / "linked.inspector", link))


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 20_000, b"PK\x03\x04" * 200])
def test_another_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    """Any other file is refused with one line that names it."""
    file = tmp_path / "other.inspector"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"other\.inspector") as caught:
        archive.read_manifest(file)
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path without a file is a mistake on the command line."""
    with pytest.raises(UsageError, match="not a file"):
        archive.read_manifest(tmp_path / "nothing.inspector")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_always_an_error_of_ours(
    data: st.DataObject, packed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file that is cut or changed anywhere is either unpacked and verified, or refused by name."""
    folder = tmp_path_factory.mktemp("fuzz")
    content = bytearray(packed.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = folder / "fuzzed.inspector"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    (folder / "out").mkdir()
    with suppress(BundleError):
        archive.unpack(file, folder / "out")
        assert Bundle.open(folder / "out").digest.startswith("sha256:")
