"""Serves the gateway's events: a connection begins, sends a frame, or ends.

The kind of an event is its ``eventType``, and not the function that was called: a client may send a frame whose action
is ``$connect``, and a gateway may call the function of connects with the frame.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.runtime import deadline, logs
from chalicelib.sockets import connect, receive, wiring

#: Answers the gateway. Not sent to the client: the events of an answer go through the management API.
_DONE: Mapping[str, Any] = {"statusCode": 200}


def serve(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one event of the gateway. Never raises; a status from 400 on refuses a connection that begins."""
    told = event["requestContext"]
    kind = told["eventType"].lower()
    with deadline.bind(context), logs.invocation("socket") as line:
        line.add(requestId=told["requestId"], connectionId=told["connectionId"], event=kind)
        try:
            if kind == "connect":
                return connect.connect(event)
            if kind == "message":
                receive.receive(told["connectionId"], str(event.get("body") or ""), told["requestId"])
            else:
                wiring.store().remove([told["connectionId"]])
        except Exception as error:  # noqa: BLE001 # the outermost edge: the gateway sends an error's text to the client
            logs.failed("socket_failed", error)
            return {"statusCode": 500}
        return dict(_DONE)
