"""Expands a SAM template from standard input, as CloudFormation does: a program for the emulator's environment.

SAM's translator stands there alone, because it demands another pydantic than functions have.
"""

import json
import sys
from typing import Any


def expanded(template: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return *template* without resources of SAM; *values* are those of its parameters."""
    from boto3.session import Session  # noqa: PLC0415 - only the emulator's environment has all of these
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415

    translator = Translator({}, Parser(), boto_session=Session(region_name="us-east-1"))
    found: dict[str, Any] = translator.translate(template, parameter_values=values)
    return found


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(expanded(given["template"], given["values"]), sys.stdout)
