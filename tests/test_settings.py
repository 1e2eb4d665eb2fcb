"""optout.toml: what is wrong is named with its file, key and mend."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from optout.errors import ConfigurationError
from optout.settings import load_secrets, load_settings

GOOD = """
data_dir = "data"
timezone = "Europe/Berlin"
categories = ["promotional", "events"]
[hub]
name = "sell"
vendor = "zendesk_sell"
base_url = "http://127.0.0.1:1/sell"
token_env = "SELL_TOKEN"
[[esp]]
name = "mc"
vendor = "mailchimp"
base_url = "http://127.0.0.1:1/mailchimp/3.0"
token_env = "MC_KEY"
categories = { promotional = "list1", events = ["list1/int1"] }
[[esp]]
name = "sg"
vendor = "sendgrid"
base_url = "http://127.0.0.1:1/sendgrid"
token_env = "SG_KEY"
categories = { promotional = 12 }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "optout.toml"
    path.write_text(text)
    return path


def test_a_good_file_is_read_and_paths_count_from_it(tmp_path: Path) -> None:
    """A night started from another folder must not begin a second warehouse."""
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.data_dir == tmp_path / "data"
    assert settings.esp[1].categories == {"promotional": ("12",)}
    assert settings.mapped(settings.esp[1]) == 1
    assert settings.mapped(settings.hub) == 3


def test_the_template_is_a_valid_file(tmp_path: Path) -> None:
    """`optout init` must not write what `optout check` refuses."""
    text = files("optout").joinpath("optout.template.toml").read_text()
    assert load_settings(write(tmp_path, text)).hub.vendor == "zendesk_sell"


@pytest.mark.parametrize(
    ("old", "new", "key", "mend"),
    [
        ("timezone", "time_zone", "time_zone", "timezone"),
        ("Europe/Berlin", "Mars/Base", "timezone", "IANA"),
        ('name = "sg"', 'name = "mc"', "esp.mc.name", "own name"),
        ('vendor = "sendgrid"', 'vendor = "sendgird"', "esp.sg.vendor", "sendgrid"),
        ('vendor = "sendgrid"', 'vendor = "zendesk_sell"', "esp.sg.vendor", "[hub]"),
        ("promotional = 12", "promo = 12", "esp.sg.categories.promo", "promotional"),
        ("promotional = 12", "promotional = []", "categories.promotional", "stores"),
        ('token_env = "SG_KEY"', "", "esp.sg.token_env", "Add it"),
        ('token_env = "SG_KEY"', 'token_env = "SG.secret"', "esp.sg.token_env", "Correct"),
        ('"http://127.0.0.1:1/sendgrid"', '"sendgrid"', "esp.sg.base_url", ""),
        ('"events"]', '"events", "transactional"]', "categories", "transactional"),
        ("[hub]", "[hubb]", "hub", "Add it"),
        ('"MC_KEY"', '"MC_KEY"\ntokenenv = 1', "esp.mc.tokenenv", "token_env"),
    ],
)
def test_a_wrong_file_names_file_key_and_mend(
    tmp_path: Path, old: str, new: str, key: str, mend: str
) -> None:
    """A misspelt key that is silently ignored would audit less than people believe."""
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load_settings(write(tmp_path, GOOD.replace(old, new, 1)))
    said = str(caught.value)
    assert "optout.toml" in said
    assert key in said
    assert mend in said


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Mending one error a run is no way to set up a system."""
    text = GOOD.replace('vendor = "sendgrid"', 'vendor = "x"').replace('name = "sg"', 'name = "mc"')
    with pytest.raises(ConfigurationError, match=r"2 things are wrong|two systems"):
        load_settings(write(tmp_path, text))


@pytest.mark.parametrize("text", ["a = ", "\x00", "[hub", 'hub = "x"\nesp = 3', "esp = [1]"])
def test_text_that_is_no_configuration_is_refused_calmly(tmp_path: Path, text: str) -> None:
    """A traceback for a typo helps nobody."""
    with pytest.raises(ConfigurationError):
        load_settings(write(tmp_path, text))


def test_a_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    """The first thing a newcomer meets."""
    with pytest.raises(ConfigurationError, match="optout init"):
        load_settings(tmp_path / "optout.toml")


def test_missing_variables_are_all_named_and_never_shown(tmp_path: Path) -> None:
    """A secret in an error message ends in a log."""
    settings = load_settings(write(tmp_path, GOOD))
    with pytest.raises(ConfigurationError) as caught:
        load_secrets(settings, {"SELL_TOKEN": "s3cret-token", "OPTOUT_KEY": "short"})
    said = str(caught.value)
    assert "MC_KEY" in said
    assert "SG_KEY" in said
    assert "OPTOUT_KEY is shorter" in said
    assert "s3cret" not in said
    tokens = dict.fromkeys(("SELL_TOKEN", "MC_KEY", "SG_KEY"), "s3cret-token")
    secrets = load_secrets(settings, {**tokens, "OPTOUT_KEY": "k" * 32})
    assert secrets.tokens["mc"] == "s3cret-token"
    assert "s3cret" not in repr(secrets)
