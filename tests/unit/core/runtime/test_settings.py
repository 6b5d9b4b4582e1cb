from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.settings import HoldfastSettings, HttpSettings, MongoSettings, Section
from chalicelib.sessions.settings import SessionSettings
from infra.docs import settings as docs
from infra.environment import ROOT

SECTIONS = docs.known()
NAMES = [section.__name__ for section in SECTIONS]
Options = Callable[..., None]


def test_everything_has_a_default(options: Options) -> None:
    options()
    for section in SECTIONS:
        assert settings.load(section) == section()


def test_option_is_read_by_its_documented_name(options: Options) -> None:
    options(
        SESSIONS_IDLE_MINUTES="7", HTTP_ALLOWED_ORIGINS='["https://a.example"]', MONGODB_URI="mongodb://secret@host"
    )
    assert settings.load(SessionSettings).idle_minutes == 7
    assert settings.load(HttpSettings).allowed_origins == {"https://a.example"}
    assert settings.option(SessionSettings, "idle_minutes") == "SESSIONS_IDLE_MINUTES"


def test_empty_variable_counts_as_unset(options: Options) -> None:
    options(SESSIONS_IDLE_MINUTES="", HTTP_ALLOWED_ORIGINS="")
    assert settings.load(SessionSettings) == SessionSettings()
    assert settings.load(HttpSettings).allowed_origins == frozenset()


def test_all_invalid_options_are_named_at_once_without_values(options: Options) -> None:
    # Given
    faulty = {
        "HOLDFAST_STAGE": "Not A Stage",
        "MONGODB_MAX_POOL_SIZE": "plenty-hunter2",
        "SESSIONS_IDLE_MINUTES": "-13",
        "APPROVALS_POLL_GROWTH": "0.25",
        "HTTP_ALLOWED_ORIGINS": "https://not-json.example",
        "OBSERVABILITY_LOG_LEVEL": "LOUD",
    }
    options(**faulty)
    # When
    with pytest.raises(settings.BadSettings) as raised:
        settings.load(HoldfastSettings)
    # Then
    told = str(raised.value)
    assert all(f"{name}: " in told for name in faulty)
    assert len(told.splitlines()) == 1 + len(faulty)
    assert not [value for value in faulty.values() if value in told]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_secrets_do_not_print(options: Options) -> None:
    options(MONGODB_URI="mongodb://user:hunter2@host/", HOLDFAST_SIGNING_KEY="hunter3")
    mongo, holdfast = settings.load(MongoSettings), settings.load(HoldfastSettings)
    for shown in (repr(mongo), str(holdfast), f"{mongo}", repr(holdfast.model_dump())):
        assert "hunter" not in shown


def test_option_named_like_a_secret_has_a_secret_type() -> None:
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            if name.endswith(("_key", "_password", "_token", "uri")):
                assert field.annotation == SecretStr | None


@pytest.mark.parametrize("section", SECTIONS, ids=NAMES)
def test_section_and_each_option_are_described(section: Any) -> None:
    assert section.__doc__
    assert section.model_config["env_prefix"].endswith("_")
    assert all(field.description for field in section.model_fields.values())


@pytest.mark.parametrize("section", SECTIONS, ids=NAMES)
def test_a_section_cannot_be_changed(section: Any) -> None:
    made = section()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(section.model_fields)), None)


def test_no_two_options_have_one_name() -> None:
    names = [settings.option(section, field) for section in SECTIONS for field in section.model_fields]
    assert len(names) == len(set(names))


def test_the_page_of_settings_names_every_option_and_is_up_to_date() -> None:
    page = docs.page()
    for section in SECTIONS:
        for field in section.model_fields:
            assert f"`{settings.option(section, field)}`" in page
    assert (ROOT / "docs/settings.md").read_text() == page


def test_settings_are_read_once(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    options(SESSIONS_IDLE_MINUTES="7")
    first = settings.load(SessionSettings)
    monkeypatch.setenv("SESSIONS_IDLE_MINUTES", "8")
    assert settings.load(SessionSettings) is first


def test_section_defined_later_is_read_on_demand(options: Options) -> None:
    options(LATER_COUNT="3")
    settings.load(HoldfastSettings)

    class Later(Section):
        """Options of a module that is imported late."""

        model_config = SettingsConfigDict(env_prefix="LATER_")
        count: int = 1

    try:
        assert settings.load(Later).count == 3
    finally:
        settings._SECTIONS.remove(Later)
