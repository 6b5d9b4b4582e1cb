"""The baseline of a change: a single conditional write through a plain client."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.stack import Stack


class Bare:
    """Versioned items in a table without a stream."""

    def __init__(self, stack: Stack, connections: int) -> None:
        keys = stack.environment
        self._table = f"holdfast-{stack.stage}-coordination"
        self._client: Any = boto3.client(
            "dynamodb",
            endpoint_url=stack.endpoint_url,
            region_name=keys["AWS_REGION"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(max_pool_connections=connections, retries={"mode": "standard", "total_max_attempts": 2}),
        )

    def write(self, name: str, version: int) -> bool:
        """Move *name* from *version* to the next; return whether *version* was current. 0 stands for no item."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"pk": {"S": f"bare#{name}"}},
                UpdateExpression="SET #version = :next",
                ConditionExpression="#version = :version" if version else "attribute_not_exists(pk)",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={
                    ":next": {"N": str(version + 1)},
                    **({":version": {"N": str(version)}} if version else {}),
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True
