"""The page of every option, from the settings classes."""

from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from chalicelib import slices
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.settings import Section

_HEAD = """# Settings

Every option is an environment variable of the functions. An invalid option stops the process at its first request; the
error names all invalid options at once, without their values. This page is generated from the settings classes in the
code: after a change there, run `scripts/check --fix`.
"""


def known() -> tuple[type[Section], ...]:
    """Return every settings class: the platform's first, then the slices' own."""
    declared = tuple(section for slice_ in slices.SLICES for section in slice_.settings)
    return (*(section for section in settings.sections() if section not in declared), *declared)


def page() -> str:
    """Return the page of all settings."""
    return _HEAD + "".join(map(_section, known()))


def _section(section: type[Section]) -> str:
    name = str(section.model_config["env_prefix"]).rstrip("_").lower()
    rows = "".join(_row(section, field) for field in section.model_fields)
    return (
        f"\n## {name}\n\n{(section.__doc__ or '').strip()}\n\n"
        f"| option | default | limits | meaning |\n| --- | --- | --- | --- |\n{rows}"
    )


def _row(section: type[Section], field: str) -> str:
    info = section.model_fields[field]
    default = "" if info.default in (None, PydanticUndefined) else f"`{_text(info.default)}`"
    limits = ", ".join(_limit(item) for item in info.metadata if _limit(item))
    secret = " (secret)" if SecretStr in getattr(info.annotation, "__args__", (info.annotation,)) else ""
    return f"| `{settings.option(section, field)}` | {default} | {limits} | {info.description}{secret} |\n"


def _text(default: Any) -> str:
    return "[]" if default == frozenset() else str(default)


def _limit(item: Any) -> str:
    words = {"gt": "over", "ge": "at least", "lt": "under", "le": "at most", "min_length": "at least characters:"}
    found = [f"{word} {getattr(item, name)}" for name, word in words.items() if getattr(item, name, None) is not None]
    pattern = getattr(item, "pattern", None)
    return " ".join(found) or (f"`{pattern}`".replace("|", "\\|") if pattern else "")
