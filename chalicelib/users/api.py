"""HTTP routes for users and their API keys, for administrators, and for the first password of a user."""

from datetime import UTC, datetime

from chalicelib.core.errors import FieldError, Invalid, TooMany
from chalicelib.core.models import Id, Username
from chalicelib.core.web import ADMIN_ONLY, PUBLIC, Call, Page, PageQuery, Routes, paging
from chalicelib.users import first, keys, passwords, wiring
from chalicelib.users.errors import (
    KeyMade,
    KeyNotFound,
    LastAdmin,
    LinkInvalid,
    NotService,
    TooManyKeys,
    TooManyLinks,
    UsernameTaken,
    UserNotFound,
)
from chalicelib.users.models import FirstPassword, Key, MadeKey, NewKey, NewUser, ShownKey, ShownUser, UserChange
from chalicelib.users.revocation import revoke

routes = Routes(__name__)
_PARAMS = {"username": Username}


@routes.add("POST", "/api/users", roles=ADMIN_ONLY, body=NewUser, answers={201: ShownUser}, raises=(UsernameTaken,))
def create_user(call: Call[NewUser, None]) -> ShownUser:
    """Make a user. Of concurrent requests for the same name, one succeeds."""
    new = call.body
    password_hash = passwords.hashed(new.password.get_secret_value())
    return wiring.store().add(new.username, password_hash, new.roles, call.operation.id).shown()


@routes.add("GET", "/api/users", roles=ADMIN_ONLY, query=PageQuery, answers={200: Page[ShownUser]})
def list_users(call: Call[None, PageQuery]) -> str:
    """List users in the order of their names."""
    return paging.cursors().render("users", call.query, wiring.store().page, lambda user: user.username)


@routes.add(
    "GET", "/api/users/{username}", roles=ADMIN_ONLY, params=_PARAMS, answers={200: ShownUser}, raises=(UserNotFound,)
)
def show_user(call: Call[None, None], username: str) -> ShownUser:
    """Show one user."""
    if (user := wiring.store().find(username)) is None:
        raise UserNotFound
    return user.shown()


@routes.add(
    "PATCH",
    "/api/users/{username}",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    body=UserChange,
    answers={200: ShownUser},
    raises=(UserNotFound, LastAdmin),
)
def change_user(call: Call[UserChange, None], username: str) -> ShownUser:
    """Change a user's password or roles. The user's earlier sessions have ended before the answer is sent."""
    password = call.body.password
    user = wiring.store().change(
        username,
        password_hash=passwords.hashed(password.get_secret_value()) if password else None,
        roles=call.body.roles,
    )
    revoke(user)
    return user.shown()


@routes.add(
    "DELETE",
    "/api/users/{username}",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    answers={204: None},
    raises=(UserNotFound, LastAdmin),
)
def delete_user(call: Call[None, None], username: str) -> None:
    """Delete a user. The user's sessions have ended before the answer is sent."""
    revoke(wiring.store().remove(username), gone=True)


@routes.add(
    "POST",
    "/api/users/{username}/keys",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    body=NewKey,
    answers={201: MadeKey},
    raises=(UserNotFound, NotService, TooManyKeys, KeyMade),
    secret=True,
)
def create_key(call: Call[NewKey, None], username: str) -> MadeKey:
    """Make an API key for a service user. The key is used like a session's token, and is shown only in the answer."""
    new, now, operation = call.body, datetime.now(UTC), call.operation
    if new.expires_at is not None and new.expires_at <= now:
        raise Invalid([FieldError("expiresAt", "must be in the future")])
    token = keys.new_key(username, operation.id)
    key = Key(
        key_id=operation.id,
        name=new.name,
        digest=keys.digest(token),
        created_at=now.isoformat(timespec="milliseconds"),
        created_by=call.caller.username,
        expires_at=new.expires_at.astimezone(UTC).isoformat(timespec="milliseconds") if new.expires_at else None,
    )
    wiring.store().add_key(username, key, again=operation.repeated)
    return MadeKey(key=token, **dict(key.shown()))


@routes.add(
    "GET",
    "/api/users/{username}/keys",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    query=PageQuery,
    answers={200: Page[ShownKey]},
    raises=(UserNotFound,),
)
def list_keys(call: Call[None, PageQuery], username: str) -> str:
    """List a user's keys in the order of creation, without the secrets, and without expired keys."""
    every = wiring.store().keys(username, datetime.now(UTC))

    def fetch(limit: int, after: str | None) -> list[Key]:
        return [key for key in every if key.position > (after or "")][:limit]

    # The name is new with the order: a cursor of an earlier version is refused.
    name = f"keys of {username} by time"
    return paging.cursors().render(
        name, call.query, fetch, lambda key: key.position, lambda key: paging.json_of(key.shown())
    )


@routes.add(
    "DELETE",
    "/api/users/{username}/keys/{key_id}",
    roles=ADMIN_ONLY,
    params={**_PARAMS, "key_id": Id},
    answers={204: None},
    raises=(KeyNotFound,),
)
def delete_key(call: Call[None, None], username: str, key_id: str) -> None:
    """Delete a key. The key is invalid at once, on every instance."""
    wiring.store().remove_key(username, key_id)


@routes.add(
    "POST",
    "/api/password",
    roles=PUBLIC,
    body=FirstPassword,
    answers={204: None},
    # The gateway takes fewer calls of this route than of others.
    raises=(LinkInvalid, TooManyLinks, TooMany),
)
def set_password(call: Call[FirstPassword, None]) -> None:
    """Set the password of the user of a mailed link. A link is valid once; the user's earlier sessions end."""
    first.set_password(call.body.token.get_secret_value(), call.body.password.get_secret_value(), call.source)
