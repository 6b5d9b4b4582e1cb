"""Users, for administrators."""

from chalicelib import wiring
from chalicelib.http import ADMIN_ONLY, Call, Routes
from chalicelib.shapes import Page, PageQuery, Username
from chalicelib.users import passwords
from chalicelib.users.dismiss import dismiss
from chalicelib.users.errors import UsernameTaken, UserNotFound
from chalicelib.users.models import NewUser, ShownUser, UserChange

routes = Routes(__name__)
_NAME = {"username": Username}


@routes.add("POST", "/api/users", roles=ADMIN_ONLY, body=NewUser, answers={201: ShownUser}, raises=(UsernameTaken,))
def create_user(call: Call[NewUser, None]) -> ShownUser:
    """Make a user. A name is taken once, however many ask for it at the same time."""
    new = call.body
    password_hash = passwords.hashed(new.password.get_secret_value())
    return wiring.users().add(new.username, password_hash, new.roles, call.operation.id).shown()


@routes.add("GET", "/api/users", roles=ADMIN_ONLY, query=PageQuery, answers={200: Page[ShownUser]})
def list_users(call: Call[None, PageQuery]) -> Page[ShownUser]:
    """List users in the order of their names."""
    page, next_cursor = wiring.cursors().page("users", call.query, wiring.users().page, lambda user: user.username)
    return Page[ShownUser](items=[user.shown() for user in page], next_cursor=next_cursor)


@routes.add(
    "GET", "/api/users/{username}", roles=ADMIN_ONLY, params=_NAME, answers={200: ShownUser}, raises=(UserNotFound,)
)
def show_user(call: Call[None, None], username: str) -> ShownUser:
    """Show one user."""
    if (user := wiring.users().find(username)) is None:
        raise UserNotFound
    return user.shown()


@routes.add(
    "PATCH",
    "/api/users/{username}",
    roles=ADMIN_ONLY,
    params=_NAME,
    body=UserChange,
    answers={200: ShownUser},
    raises=(UserNotFound,),
)
def change_user(call: Call[UserChange, None], username: str) -> ShownUser:
    """Change a user's password or roles; the sessions the user had are dead when this answers."""
    password = call.body.password
    user = wiring.users().change(
        username,
        password_hash=passwords.hashed(password.get_secret_value()) if password else None,
        roles=call.body.roles,
    )
    dismiss(user)
    return user.shown()


@routes.add(
    "DELETE", "/api/users/{username}", roles=ADMIN_ONLY, params=_NAME, answers={204: None}, raises=(UserNotFound,)
)
def delete_user(call: Call[None, None], username: str) -> None:
    """Delete a user; the sessions the user had are dead when this answers."""
    dismiss(wiring.users().remove(username), gone=True)
