"""Watches running work and waiting messages, inside the process of the AWS endpoint.

`infra.local.lab.emulator` asks. The endpoint's interpreter loads this file by its path: standard library alone.
"""

import json
import time
from collections import Counter
from importlib import import_module
from typing import Any

#: The path that answers.
WORK = "/_holdfast/work"
#: How often each function was invoked.
INVOCATIONS: Counter[str] = Counter()


def answering(app: Any) -> Any:
    """Return *app*, with an answer for `WORK`, and count invocations from now on."""
    count_invocations()

    async def answered(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != WORK:
            await app(scope, receive, send)
            return
        body = json.dumps(work()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return answered


def work() -> dict[str, Any]:
    """Return the work of this moment: invocations, batches, unread records of streams, and messages of each queue.

    Invocations are counted since the start. A message is given by the moment at which it becomes visible, in seconds
    since 1970 by the endpoint's clock.
    """
    functions: Any = import_module("ministack.services.lambda_svc")
    runtime: Any = import_module("ministack.core.lambda_runtime")
    queues: Any = import_module("ministack.services.sqs")
    pools = list(runtime._workers.values())  # noqa: SLF001 # the pinned version's own
    mappings = [mapping for _, _, mapping in functions._iter_all_esms() if mapping.get("Enabled", True)]  # noqa: SLF001
    sources = {mapping["EventSourceArn"] for mapping in mappings}
    return {
        "now": time.time(),
        "invocations": INVOCATIONS,
        "running": [worker.func_name for pool in pools for worker in list(pool) if worker.in_use],
        "batches": sum(functions._esm_inflight.values()),  # noqa: SLF001
        "unread": unread(functions),
        "messages": {
            queue["name"]: [message["visible_at"] for message in list(queue["messages"])]
            for queue in list(queues._queues.to_dict().values())  # noqa: SLF001
            if queue["attributes"].get("QueueArn") in sources
        },
    }


def count_invocations() -> None:
    """Count the invocations of each function in `INVOCATIONS`."""
    workers: Any = import_module("ministack.core.lambda_runtime").Worker
    invoke = workers.invoke

    def counted(worker: Any, *asked: Any, **named: Any) -> Any:
        INVOCATIONS[worker.func_name] += 1
        return invoke(worker, *asked, **named)

    workers.invoke = counted


def unread(functions: Any) -> int:
    """Return the number of stream records that no function has been given yet."""
    tables: Any = import_module("ministack.services.dynamodb")
    positions = functions._dynamodb_stream_positions.to_dict()  # noqa: SLF001 # the pinned version's own
    count = 0
    for account, region, mapping in functions._iter_all_esms():  # noqa: SLF001
        kind, _, stream = mapping["EventSourceArn"].rpartition(":table/")
        if kind.startswith("arn:aws:dynamodb:") and mapping.get("Enabled", True):
            place = {"account_id": account, "region": region}
            table = stream.partition("/")[0]
            begin = tables.stream_start_position(table, **place)
            read = max(begin, positions.get((account, region, mapping["UUID"]), begin))
            count += max(0, tables.stream_end_position(table, **place) - read)
    return count
