"""Reads the Accept header (RFC 9110, section 12.5.1)."""

from chalicelib.core.web.requests import JSON

_HTML = "text/html"


def prefers_html(accept: str | None) -> bool:
    """Return whether *accept* ranks text/html above JSON, as browsers that load a page do. Never raises."""
    weights: dict[str, float] = {}
    for part in (accept or "").lower().split(","):
        media, *params = (word.strip() for word in part.split(";"))
        weights[media] = max(weights.get(media, 0.0), _weight(params))
    return _of(_HTML, weights) > _of(JSON, weights)


def _of(media: str, weights: dict[str, float]) -> float:
    """Return the weight of *media*: the most specific range decides."""
    ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)


def _weight(params: list[str]) -> float:
    weight = next((param[2:] for param in params if param.startswith("q=")), "1")
    try:
        return float(weight)
    except ValueError:
        return 0.0
