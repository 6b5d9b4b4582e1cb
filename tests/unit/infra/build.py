"""The built package, and templates larger than the application's."""

import copy
import json
from typing import Any, NamedTuple

from infra.deployment.package import Package

Template = dict[str, Any]


class Built(NamedTuple):
    """A built package, and chalice's own template before completion."""

    package: Package
    chalices: Template


def with_paths(chalices: Template, count: int) -> Template:
    """Return chalice's template with *count* paths of three routes, each as long as the application's longest route."""
    grown = copy.deepcopy(chalices)
    paths = grown["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    longest = max((one for path in paths.values() for one in path.values()), key=lambda one: len(json.dumps(one)))
    for number in range(count - len(paths)):
        path = f"/api/things/{{thing_id}}/parts-{number}/{{part_id}}"
        paths[path] = {method: copy.deepcopy(longest) for method in ("get", "put", "delete")}
    assert len(paths) == count
    return grown
