"""The console's files as browsers get them: each under a name with a hash of its content, beside one page.

All files are text: the gateway would send other bodies as base64. Made at the first call in a process, then kept.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.console import join

UI = Path(__file__).with_name("ui")
_ENTRY, _PAGE = "main.js", "index.html"
_MEDIA = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

HTML = "text/html; charset=utf-8"
#: The page may run its own scripts alone, talk to its own origin, a receiver and the WebSocket API alone, and be framed
#: by nobody.
#: Trusted types stop any text from becoming markup.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def headers(*addresses: str | None) -> dict[str, str]:
    """Return the security headers of the page, which also connects to the origins of *addresses*."""
    origins = ["{0.scheme}://{0.netloc}".format(urlsplit(address)) for address in addresses if address]
    connected = " ".join(["'self'", *origins])
    return {"Content-Security-Policy": _POLICY.format(connected), **_HEADERS}


#: Indentation and empty lines.
_INDENTATION = re.compile(r"\n\s+")
#: A comment of a stylesheet.
_REMARK = re.compile(r"/\*[\s\S]*?\*/")


@dataclass(frozen=True, slots=True)
class File:
    """A file that never changes under its name."""

    text: str
    media: str


@dataclass(frozen=True, slots=True)
class Site:
    """The page, the files that the page loads by name, and a hash of all."""

    page: str
    files: Mapping[str, File]
    hash: str


@cache
def site() -> Site:
    """Return the site.

    Raises:
        join.CannotJoin: a source cannot be joined.
    """
    return make(UI)


def dense(text: str) -> str:
    """Return a source without indentation and empty lines, which templates of ``html`` ignore.

    A text of several lines loses its indentation as well: sources hold no such text.
    """
    return _INDENTATION.sub("\n", text)


def make(ui: Path) -> Site:
    """Return the site of the sources in the folder *ui*."""
    # The names by which the page mentions its files, and the texts of the files.
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted((ui / join.VENDOR).glob("*.js"))}
    vendored = {name: hashed(name, text) for name, text in texts.items()}
    texts["app.js"] = dense(join.join(ui, _ENTRY, vendored))
    texts |= {name: (ui / name).read_text(encoding="utf-8") for name in ("console.css", "icon.svg")}
    texts["console.css"] = dense(_REMARK.sub("", texts["console.css"]))
    page, files = (ui / _PAGE).read_text(encoding="utf-8"), {}
    for name, text in texts.items():
        page = page.replace(f'"{name}"', f'"{hashed(name, text)}"')
        files[hashed(name, text)] = File(text, _MEDIA[Path(name).suffix])
    return Site(page, files, _digest(page))


def hashed(name: str, text: str) -> str:
    """Return the name of the file *name* with *text* in a browser."""
    path = Path(name)
    return f"{path.stem}-{_digest(text)}{path.suffix}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
