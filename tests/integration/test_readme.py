"""The README's call runs as it is printed, and answers as it says."""

import json
import re
import subprocess

from infra.environment import ROOT
from infra.local.stack import Stack


def test_the_readmes_call_answers_as_printed(stack: Stack) -> None:
    readme = (ROOT / "README.md").read_text()
    commands = re.search(r"```bash\nPASSWORD=.*?```", readme, re.DOTALL)
    printed = re.search(r"```json\n(.*?)```", readme, re.DOTALL)
    assert commands
    assert printed
    script = commands[0].removeprefix("```bash\n").removesuffix("```")
    script = script.replace("PASSWORD=...", f"PASSWORD={stack.admin_password}").replace(
        "http://localhost:8000", stack.url
    )

    done = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, timeout=60, check=True)

    answer, expected = json.loads(done.stdout), json.loads(printed[1])
    assert answer.pop("requestId") != expected.pop("requestId")
    assert answer == expected
