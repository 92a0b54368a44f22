"""The environment becomes settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from inspector.errors import UsageError
from inspector.settings import ServeSettings, Settings, is_debugging, unknown_variables, wants_colour


def test_nothing_set_means_the_defaults() -> None:
    """An empty environment gives the documented defaults and the platform's data folder."""
    settings = Settings.from_environment({})
    assert (settings.max_pixels, settings.max_bytes, settings.threads) == (80_000_000, 100_000_000, 0)
    assert settings.store.is_absolute()
    assert settings.store.name == "inspector"
    assert not settings.debug


def test_every_field_has_a_variable() -> None:
    """Each setting is read from its own variable; other variables are ignored."""
    settings = Settings.from_environment(
        {
            "INSPECTOR_STORE": "~/models",
            "INSPECTOR_MAX_PIXELS": "1_000_000",
            "INSPECTOR_MAX_BYTES": "5000",
            "INSPECTOR_THREADS": "3",
            "INSPECTOR_DEBUG": "1",
            "INSPECTOR_SOMETHING_ELSE": "x",
            "HOME": "/nowhere",
        }
    )
    assert settings.store == Path("~/models").expanduser()
    assert (settings.max_pixels, settings.max_bytes, settings.threads) == (1_000_000, 5000, 3)
    assert settings.debug


def test_a_mistyped_variable_is_named_with_its_neighbour() -> None:
    """Every variable with our prefix that is no setting gets one warning; other programs' variables none."""
    known = {f"INSPECTOR_{name.upper()}": "1" for name in ServeSettings.model_fields}
    assert unknown_variables(known | {"HOME": "/", "ORT_DISABLE_TELEMETRY": "1"}) == []
    strange, mistyped = unknown_variables(
        known | {"INSPECTOR_API_KEY_FILE": "keys", "INSPECTOR_$%&": "x", "INSPECTOR": "x"}
    )
    assert strange.startswith("INSPECTOR_$%& is not a setting and has no effect; the settings are INSPECTOR_")
    assert mistyped.endswith("did you mean INSPECTOR_API_KEYS_FILE?")


def test_an_empty_variable_is_not_set() -> None:
    """`INSPECTOR_THREADS=` means the default, as shells expect."""
    assert Settings.from_environment({"INSPECTOR_THREADS": " "}).threads == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("INSPECTOR_THREADS", "many"),
        ("INSPECTOR_THREADS", "-1"),
        ("INSPECTOR_THREADS", "1025"),
        ("INSPECTOR_MAX_PIXELS", "1e6"),
        ("INSPECTOR_MAX_PIXELS", "1000"),
        ("INSPECTOR_MAX_BYTES", "0"),
        ("INSPECTOR_DEBUG", "perhaps"),
    ],
)
def test_a_bad_value_is_named(variable: str, value: str) -> None:
    """The message names the variable, its value and the allowed values; the hint says what to do."""
    with pytest.raises(UsageError) as caught:
        Settings.from_environment({variable: value})
    assert variable in caught.value.message
    assert repr(value) in caught.value.message
    assert "allowed" in caught.value.message
    assert variable in caught.value.hint


def test_settings_do_not_change() -> None:
    """Settings are read once and frozen."""
    settings = Settings.from_environment({})
    with pytest.raises(ValidationError):
        settings.threads = 2  # type: ignore[misc]  # what mypy forbids has to fail at run time, too


def test_debugging_never_fails() -> None:
    """`INSPECTOR_DEBUG` is read, and an invalid environment does not raise a second error."""
    assert is_debugging({"INSPECTOR_DEBUG": "true"})
    assert not is_debugging({})
    assert not is_debugging({"INSPECTOR_THREADS": "x", "INSPECTOR_DEBUG": "1"})


def test_colour_can_be_refused() -> None:
    """`NO_COLOR` and a dumb terminal keep the output plain."""
    assert wants_colour({"TERM": "xterm"})
    assert not wants_colour({"NO_COLOR": "1"})
    assert not wants_colour({"TERM": "dumb"})


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    """The mark that Windows editors put at the beginning is no part of the TOML."""
    file = tmp_path / "inspector.toml"
    file.write_text("port = 9000\n", encoding="utf-8-sig")
    assert ServeSettings.from_environment({}, file=file).port == 9000
