"""The version that a request names: in body or query, or by If-Match with the ETag of a read (RFC 9110, 13.1.1).

If-Match demands a strong ETag. Here a weak one counts too: the tag names a version, and proxies weaken tags.

An ETag names the version alone. An annotation leaves the ETag unchanged, so If-Match guards against edits only.
"""

import re

from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.records.errors import VersionRequired
from chalicelib.core.records.models import Expected, Record

#: A proxy that changes a body, by compressing it for example, weakens the ETag of the answer.
_TAG = r'(?:W/)?"([1-9][0-9]{0,15})"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
#: Versions in one header; a condition of DynamoDB takes a hundred.
_MOST = 100


def etag(record: Record) -> dict[str, str]:
    """Return the header that names the version of *record*."""
    return {"ETag": f'"{record.version}"'}


def version(given: int | None, if_match: str | None) -> Expected:
    """Return the version named by the request, or the versions; None if ``If-Match: *`` allows any.

    Raises:
        VersionRequired: the request names no version.
        Invalid: the header is neither ``*`` nor a list of ETags, or does not name the version of body or query.
    """
    if if_match is None and given is None:
        raise VersionRequired
    if if_match is None or (wanted := if_match.strip()) == "*":
        return given
    versions = frozenset(map(int, re.findall(_TAG, wanted))) if _TAGS.fullmatch(wanted) else frozenset()
    if not 0 < len(versions) <= _MOST:
        raise Invalid([FieldError("If-Match", 'must be the ETag that a read has given, such as "3"')])
    if given is not None and given not in versions:
        raise Invalid([FieldError("If-Match", "names another version than the request does")])
    return given or (min(versions) if len(versions) == 1 else versions)


def unchanged(tag: str | None, if_none_match: str | None) -> bool:
    """Return whether the caller holds the state that *tag* names: by the weak comparison of RFC 9110, 8.8.3.2."""
    if tag is None or if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in re.findall(r'"[^"]*"', if_none_match)
