"""The text of a mail, as plain text and as HTML. Imported by the worker that sends: templates take time to load."""

from typing import NamedTuple

from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

_TEXT = """\
Hello{% if name %} {{ name }}{% endif %},

an account was made for you: {{ username }}

Set your password here, within {{ hours }} hours:

{{ link }}

The link works once. If you did not expect this mail, ignore it.
"""
_HTML = """\
<!doctype html>
<html lang="en">
<body style="font-family: sans-serif">
<p>Hello{% if name %} {{ name }}{% endif %},</p>
<p>an account was made for you: <strong>{{ username }}</strong></p>
<p><a href="{{ link }}">Set your password</a> within {{ hours }} hours.</p>
<p>The link works once. If you did not expect this mail, ignore it.</p>
</body>
</html>
"""
SUBJECT = "Your new account: set a password"

#: HTML is escaped; plain text has no markup.
_TEMPLATES = Environment(
    loader=DictLoader({"mail.txt": _TEXT, "mail.html": _HTML}),
    autoescape=select_autoescape(enabled_extensions=("html",)),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


class Rendered(NamedTuple):
    """The two forms of a mail."""

    text: str
    html: str


def link(public_url: str, token: str) -> str:
    """Return the address of the page that sets a password. A fragment reaches no server's log."""
    return f"{public_url.rstrip('/')}/console/#/set-password/{token}"


def render(*, name: str, username: str, link: str, hours: int) -> Rendered:
    """Return the mail with a *link* that is valid for *hours*. A name in plain text has no line breaks."""
    fields = {"name": " ".join(name.split()), "username": username, "link": link, "hours": hours}
    return Rendered(*(_TEMPLATES.get_template(form).render(fields) for form in ("mail.txt", "mail.html")))
