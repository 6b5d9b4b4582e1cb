"""One form for each password: the profile OpaqueString of RFC 8265, so that every keyboard types the same password."""


def prepared(password: str) -> str:
    """Return *password* in the form that is hashed: characters composed (NFC), every kind of space a plain space.

    Safe to repeat.

    Raises:
        ValueError: the profile refuses a character; the text says which kinds, and has no part of the password.
    """
    # Printable ASCII is its own form. Few passwords need the package, whose import takes 20 ms.
    if password.isascii() and password.isprintable():
        return password
    from precis_i18n import get_profile  # noqa: PLC0415

    try:
        return str(get_profile("OpaqueString").enforce(password))
    except UnicodeError:
        raise ValueError(
            "must be without control characters, invisible characters and characters that Unicode has not assigned"
        ) from None
