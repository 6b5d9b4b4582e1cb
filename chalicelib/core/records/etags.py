"""The version that a request names: in body or query, or by If-Match with the ETag of a read (RFC 9110, 13.1.1).

An ETag names the version alone. An annotation leaves the ETag unchanged, so If-Match guards against edits only.
"""

import re

from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.records.errors import VersionRequired
from chalicelib.core.records.models import Record

_ETAG = re.compile(r'"([1-9][0-9]{0,15})"')


def etag(record: Record) -> dict[str, str]:
    """Return the header that names the version of *record*."""
    return {"ETag": f'"{record.version}"'}


def version(given: int | None, if_match: str | None) -> int:
    """Return the version named by the request.

    Raises:
        VersionRequired: the request names no version.
        Invalid: the header is not one strong ETag, or names another version than the body or query.
    """
    if if_match is None:
        if given is None:
            raise VersionRequired
        return given
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise Invalid([FieldError("If-Match", 'must be the ETag that a read has given, such as "3"')])
    if given not in {None, int(found[1])}:
        raise Invalid([FieldError("If-Match", "names another version than the request does")])
    return int(found[1])
