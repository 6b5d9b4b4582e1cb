"""Paths and their statuses without a session, the same at every entry point."""

TABLE = [
    ("GET", "/health", 200),
    ("GET", "/health/", 404),
    ("GET", "//health", 404),
    ("PUT", "/health/", 404),
    ("POST", "/send-notification", 401),
    ("POST", "/send-notification/", 404),
    ("GET", "/api/users", 401),
    ("GET", "/api//users", 404),
    ("GET", "/api/users//", 404),
    ("GET", "/api/users/admin", 401),
    ("GET", "/api/users/admin/", 404),
]
