from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from chalicelib.core.runtime import settings
from infra import docs

Options = Callable[..., None]


def test_everything_has_a_default(options: Options) -> None:
    options()
    for name in settings.SECTIONS:
        assert getattr(settings.load(), name) is not None


def test_an_option_is_read_by_the_name_it_is_documented_under(options: Options) -> None:
    options(
        SESSIONS_IDLE_MINUTES="7", HTTP_ALLOWED_ORIGINS='["https://a.example"]', MONGODB_URI="mongodb://secret@host"
    )
    assert settings.load().sessions.idle_minutes == 7
    assert settings.load().http.allowed_origins == {"https://a.example"}
    assert settings.option(settings.SessionSettings, "idle_minutes") == "SESSIONS_IDLE_MINUTES"


def test_an_empty_variable_is_an_option_not_given(options: Options) -> None:
    options(SESSIONS_IDLE_MINUTES="", HTTP_ALLOWED_ORIGINS="")
    assert settings.load().sessions == settings.SessionSettings()
    assert settings.load().http.allowed_origins == frozenset()


def test_all_faults_are_told_at_once_by_name_and_without_their_values(options: Options) -> None:
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
        settings.load()
    # Then
    told = str(raised.value)
    assert all(f"{name}: " in told for name in faulty)
    assert len(told.splitlines()) == 1 + len(faulty)
    assert not [value for value in faulty.values() if value in told]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_secrets_do_not_print(options: Options) -> None:
    options(MONGODB_URI="mongodb://user:hunter2@host/", HOLDFAST_SIGNING_KEY="hunter3")
    loaded = settings.load()
    for shown in (repr(loaded), str(loaded), f"{loaded.mongo}", repr(loaded.holdfast.model_dump())):
        assert "hunter" not in shown


def test_what_is_named_like_a_secret_is_one() -> None:
    for section in settings.SECTIONS.values():
        for name, field in section.model_fields.items():
            if name.endswith(("_key", "_password", "_token", "uri")):
                assert field.annotation == SecretStr | None


@pytest.mark.parametrize("section", settings.SECTIONS.values(), ids=settings.SECTIONS)
def test_a_section_says_what_it_is_and_so_does_each_option(section: Any) -> None:
    assert section.__doc__
    assert section.model_config["env_prefix"].endswith("_")
    assert all(field.description for field in section.model_fields.values())


@pytest.mark.parametrize("section", settings.SECTIONS.values(), ids=settings.SECTIONS)
def test_a_section_cannot_be_changed(section: Any) -> None:
    made = section()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(section.model_fields)), None)


def test_no_two_options_have_one_name() -> None:
    names = [
        settings.option(section, field) for section in settings.SECTIONS.values() for field in section.model_fields
    ]
    assert len(names) == len(set(names))


def test_the_page_of_settings_names_every_option_and_is_up_to_date() -> None:
    page = docs.page()
    for section in settings.SECTIONS.values():
        for field in section.model_fields:
            assert f"`{settings.option(section, field)}`" in page
    assert docs.PAGE.read_text() == page


def test_settings_are_read_once(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    options(SESSIONS_IDLE_MINUTES="7")
    first = settings.load()
    monkeypatch.setenv("SESSIONS_IDLE_MINUTES", "8")
    assert settings.load() is first
