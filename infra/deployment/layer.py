"""The layer of the functions that push to devices: the packages that no other function needs.

Lambda unpacks a layer below ``/opt`` and looks for modules in ``/opt/python``. A queue declares that its worker pushes
(`Queue.pushes`). The layer belongs to the app stack: a changed layer is a new version, and CloudFormation deletes the
version before once the update has succeeded.
"""

from typing import Any

from infra.deployment.templating import sub

#: The file of the layer beside the package, and the layer's place in the app template.
FILE, LOGICAL = "push.zip", "PushLayer"
#: Where Lambda unpacks layers.
PLACE = "/opt"


def resource(runtime: str) -> dict[str, Any]:
    """Return the layer for the app template."""
    properties = {
        "LayerName": sub("holdfast-${Stage}-push"),
        "ContentUri": f"./{FILE}",
        "CompatibleRuntimes": [runtime],
        "RetentionPolicy": "Delete",
    }
    return {"Type": "AWS::Serverless::LayerVersion", "Properties": properties}


def named(template: dict[str, Any]) -> bool:
    """Return whether the app *template* has the layer. Packages of earlier releases have none."""
    return LOGICAL in template["Resources"]
