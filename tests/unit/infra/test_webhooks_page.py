"""The commands of docs/webhooks.md that verify a delivery run as printed."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.core.egress import signatures
from infra.environment import ROOT

PAGE = (ROOT / "docs/webhooks.md").read_text()
#: Keys whose bytes a shell could lose: zeros, line ends, and lines of `od` that are alike.
SECRETS = [signatures.new_secret(byte.__mul__) for byte in (b"\0", b"\n", b"\xff", b"a")]


def run(command: str, folder: Path, secret: str, body: bytes) -> subprocess.CompletedProcess[str]:
    """Run a block of the page on a delivery that is signed now with *secret*."""
    signed = signatures.headers([secret], "dlv_1", datetime.now(UTC), body)
    (folder / "body.json").write_bytes(body)
    variables = {"SECRET": secret, "ID": "dlv_1", "TIMESTAMP": signed["webhook-timestamp"]}
    variables |= {"SIGNATURE": signed["webhook-signature"], "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return subprocess.CompletedProcess([signed["webhook-signature"]], done.returncode, done.stdout, done.stderr)


def block(words: str) -> str:
    """Return the only block of commands of the page that holds *words*."""
    (found,) = (text for text in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if words in text)
    return str(found)


@pytest.mark.parametrize("secret", [signatures.new_secret(), *SECRETS], ids=["of this run", *SECRETS])
@pytest.mark.parametrize("body", [b'{"type":"a"}', "{\n\"é\": '100%s'}\r\n".encode(), b""])
def test_openssl_computes_the_signature_of_our_library(tmp_path: Path, secret: str, body: bytes) -> None:
    done = run(block("openssl dgst"), tmp_path, secret, body)
    assert (done.args, done.stderr) == ([f"v1,{done.stdout}"], "")


def test_command_verify_of_the_page_accepts_a_delivery(tmp_path: Path) -> None:
    # Without the environment that the script would first make or renew.
    program = f'cd "{ROOT}"; "{sys.executable}" -m infra.run webhooks'
    command = (
        block("webhooks verify").replace("scripts/webhooks", program).replace("body.json", f"{tmp_path}/body.json")
    )
    done = run(command, tmp_path, SECRETS[0], json.dumps({"type": "a"}).encode())
    assert done.stdout.startswith("verified: dlv_1, signed "), done.stderr
