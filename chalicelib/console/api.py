"""HTTP routes of the console: the page, its files, and what the page must know of its deployment. No store is asked."""

from chalicelib import sockets
from chalicelib.console.models import Config, FileName
from chalicelib.console.settings import ReceiverSettings
from chalicelib.console.site import HTML, headers, site
from chalicelib.core.errors import NotFound
from chalicelib.core.runtime import settings
from chalicelib.core.web import PUBLIC, Answer, Call, Routes

_FRESH = {"Cache-Control": "no-cache"}
#: The name of a file changes with its content.
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}

routes = Routes(__name__)


@routes.add("GET", "/", roles=PUBLIC, start="console/", answers={302: None}, raises=(NotFound,))
def show_start(call: Call[None, None]) -> Answer:
    """Redirect a browser to the console: a caller that prefers `text/html`. To other callers the path is unknown."""
    raise NotFound


@routes.add("GET", "/console", roles=PUBLIC, folder=True, media=("text/html",), answers={200: None})
def show_console(call: Call[None, None]) -> Answer:
    """Show the console, a page for browsers."""
    allowed = headers(_receiver(), sockets.public_url())
    return Answer(200, site().page, headers={"Content-Type": HTML, **_FRESH, **allowed})


@routes.add("GET", "/console/config.json", roles=PUBLIC, answers={200: Config})
def show_console_config(call: Call[None, None]) -> Answer:
    """Show the console which deployment it belongs to, and whether its files have changed."""
    holdfast = settings.load(settings.HoldfastSettings)
    config = Config(
        stage=holdfast.stage,
        version=holdfast.version,
        console=site().hash,
        receiver=_receiver(),
        socket_url=sockets.public_url(),
    )
    return Answer(200, config, headers=_FRESH)


@routes.add(
    "GET",
    "/console/{file}",
    roles=PUBLIC,
    params={"file": FileName},
    media=("text/javascript", "text/css", "image/svg+xml"),
    answers={200: None},
)
def show_console_file(call: Call[None, None], file: str) -> Answer:
    """Get a file of the console. Its name contains a hash of its content, so browsers keep it for a year."""
    if (found := site().files.get(file)) is None:
        raise NotFound
    typed = {"Content-Type": found.media, "X-Content-Type-Options": "nosniff"}
    return Answer(200, found.text, headers={**typed, **_FOR_EVER})


def _receiver() -> str | None:
    return settings.load(ReceiverSettings).url
