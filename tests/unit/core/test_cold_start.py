"""What a new process imports before it answers, and models that are compiled on first use."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from app import app
from chalicelib.core.models import Model
from chalicelib.core.runtime.settings import Section
from infra.environment import ROOT

#: Modules that neither the health check nor the read of a list needs: libraries of single features, and the modules of
#: single routes and workers.
NEEDLESS = (
    "argon2",
    "chalicelib.core.queueing.drain",
    "chalicelib.core.web.openapi",
    "chalicelib.devices.fcm",
    "chalicelib.webhooks.statistics",
    "ddsketch",
    "email_validator",
    "google",
    "jinja2",
    "precis_i18n",
    "standardwebhooks",
    "urllib3",
)
#: Answers the health check in a new process and prints the names of all modules.
HEALTH = """
import json, sys
from app import app
class Context:
    get_remaining_time_in_millis = lambda self: 20_000
answer = app(json.load(open("tests/events/health.json")), Context())
print("\\n" + json.dumps([answer["statusCode"], sorted(sys.modules)]))
"""
MODELS = """
import json
import app
from chalicelib.core.models import Model
print(json.dumps([found.__name__ for found in Model.__subclasses__() if found.__pydantic_complete__]))
"""


def fresh(script: str) -> list[Any]:
    """Return the last line that *script* prints in a new process, read as JSON."""
    environ = {"PATH": os.defpath, "AWS_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    read: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return read


def derived(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for found in base.__subclasses__():
        yield found
        yield from derived(found)


def test_health_check_imports_nothing_that_it_does_not_need() -> None:
    status, names = fresh(HEALTH)
    assert (status, isinstance(names, list)) == (200, True)
    assert not [name for name in NEEDLESS if name in names]
    # The names are right: the process that describes the API has them.
    assert "chalicelib.cluster.api" in names


def test_import_of_the_application_compiles_hardly_any_model() -> None:
    # The messages of the queues' declarations and the like may be, and no model of a route.
    assert len(fresh(MODELS)) < 5


def test_every_model_compiles() -> None:
    """A fault in a model that is compiled late shows here, and not at a caller."""
    assert app.endpoints
    found = [*derived(Model), *derived(Section)]
    assert len(found) > 100
    for model in found:
        model.model_rebuild()
        assert model.__pydantic_complete__, model
