"""`scripts/verify`: the address of the API."""

import pytest

from infra.operations.failures import CommandFailed
from infra.operations.verification import address


@pytest.mark.parametrize(
    "url", ["https://api.example.org", "https://a1.execute-api.eu-central-1.amazonaws.com/api", "http://127.0.0.1:8000"]
)
def test_address_of_an_api_is_taken_without_its_last_slash(url: str) -> None:
    assert address.checked(url) == address.checked(f"{url}/") == url


@pytest.mark.parametrize(
    "url",
    [
        "api.example.org",
        "ftp://api.example.org",
        "https://",
        "https://api.example.org:port",
        "https://api.example.org:99999",
        "https://api.example.org:0x1",
        "https://api.example.org?stage=prod",
        "https://admin:secret@api.example.org",
        "https://[::1",
    ],
)
def test_text_that_is_no_address_is_a_sentence(url: str) -> None:
    with pytest.raises(CommandFailed, match="is not the address of an API") as failed:
        address.checked(url)
    assert "secret" not in str(failed.value)
