"""Finds the route of a path by the gateway's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Found(NamedTuple):
    """The route of a path and the values of its placeholders. If no route matches, *resource* is the path itself."""

    resource: str
    params: dict[str, str] | None


class Paths:
    """Finds a path's route among templates such as ``/things/{id}``. A literal segment wins over a placeholder."""

    def __init__(self, templates: Iterable[str]) -> None:
        given = tuple(templates)
        self._literal = {text: Found(text, None) for text in given if "{" not in text}
        self._by_length: dict[int, list[tuple[str, list[str]]]] = {}
        for template, segments in sorted(
            ((text, text.split("/")) for text in given), key=lambda pair: [_placeholder(part) for part in pair[1]]
        ):
            self._by_length.setdefault(len(segments), []).append((template, segments))

    def find(self, path: str) -> Found:
        """Return the route of *path*. *path* is percent-encoded, and placeholder values stay percent-encoded.

        A slash at the end is dropped, as the gateway drops it; the application decides whether the path may have one.
        """
        if (found := self._literal.get(path) or self._literal.get(path.removesuffix("/"))) is not None:
            return found
        given = path.split("/")
        for template, segments in self._by_length.get(len(given), ()):
            pairs = list(zip(segments, given, strict=True))
            if all(value if _placeholder(part) else part == value for part, value in pairs):
                return Found(template, {part[1:-1]: value for part, value in pairs if _placeholder(part)} or None)
        return Found(path, None)


def _placeholder(segment: str) -> bool:
    return segment.startswith("{")
