"""The management API of the WebSocket gateway: sends to a connection, and closes it."""

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.core.errors import Unavailable
from chalicelib.core.stores.driver_errors import reaching_aws

_SERVICE = "apigatewaymanagementapi"
_GONE = "GoneException"
_BUSY = "LimitExceededException"


class Gateway:
    """Sends to connections by the *client* of the management API."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, connection_id: str, data: bytes) -> bool:
        """Send *data*, a text frame, to the connection. Return whether the connection is there.

        Raises:
            Unavailable: the gateway cannot be reached, or refuses the call.
        """
        return self._reached("post_to_connection", ConnectionId=connection_id, Data=data)

    def close(self, connection_id: str) -> bool:
        """Close the connection. Return whether the connection was there.

        Raises:
            Unavailable: as for `send`.
        """
        return self._reached("delete_connection", ConnectionId=connection_id)

    def _reached(self, call: str, **arguments: Any) -> bool:
        with reaching_aws(_SERVICE):
            try:
                getattr(self._client, call)(**arguments)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == _BUSY:
                    raise Unavailable("The gateway takes no more calls just now.") from error
                if code == _GONE or error.response["ResponseMetadata"]["HTTPStatusCode"] == 410:  # noqa: PLR2004
                    return False
                # A fault of a deployment, such as missing rights: no push may fail its caller for that.
                raise Unavailable(f"The gateway refuses calls: {code}.") from error
        return True
