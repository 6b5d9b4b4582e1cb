"""A device in a terminal: print each message once, and send the lines of the standard input.

    HOLDFAST_KEY=... python examples/chat.py laptop

The key is the token of a session, or an API key. ``laptop`` names this device: choose a name once per installation. The
line ``ann Are you there?`` sends a message to ann. A lost connection loses nothing: the next one joins and sends again.
"""

import asyncio
import json
import os
import sys
import uuid
from typing import Any

import aiohttp

URL = os.environ.get("HOLDFAST_URL", "http://localhost:8000")
PROTOCOLS = ("holdfast", f"token.{os.environ['HOLDFAST_KEY']}")
PING_SECONDS = 30

unsent: dict[str, dict[str, Any]] = {}
seen: set[str] = set()
socket: "aiohttp.ClientWebSocketResponse[bool] | None" = None


async def say(**frame: Any) -> None:
    """Send a frame, if the connection is open."""
    if socket is not None and not socket.closed:
        await socket.send_str(json.dumps(frame))


async def hear(event: dict[str, Any], device: str) -> None:
    """Print new messages and acknowledge all; take receipts and refusals."""
    if event["event"] in {"messages", "chat_message"}:
        items = event.get("items", [event])
        for item in items:
            if item["messageId"] not in seen:
                print(f"{item['from']}: {item['message']}", flush=True)
        # An app with a store of its own acknowledges once its store has the messages.
        seen.update(item["messageId"] for item in items)
        await say(action="ack", messageIds=[item["messageId"] for item in items], deviceId=device)
    elif event["event"] == "receipt" and unsent.pop(event["clientMessageId"], None):
        print(f"sent: {event['status']}", flush=True)
    elif event["event"] == "error":
        unsent.pop(event.get("id", ""), None)
        print(f"refused: {event['detail']}", flush=True)


async def follow(session: aiohttp.ClientSession, device: str) -> None:
    """Connect, join, and follow the connection to its end."""
    global socket
    async with session.get(f"{URL}/console/config.json") as answer:
        address = (await answer.json())["socketUrl"]
    async with session.ws_connect(address, protocols=PROTOCOLS) as socket:
        await say(action="join_chat", deviceId=device)
        for frame in list(unsent.values()):
            await say(**frame)
        while True:
            try:
                received = await socket.receive(PING_SECONDS)
            except TimeoutError:
                await say(action="ping")
                continue
            if received.type is not aiohttp.WSMsgType.TEXT:
                return
            try:
                event = json.loads(received.data)
                name = event["event"]
            except (ValueError, KeyError):
                # The platform's own words: a function died. The next connection sends again.
                return
            if name == "reconnect":
                return
            await hear(event, device)


async def send_lines() -> None:
    """Send each line. A line is kept until its receipt comes."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        to, _, text = line.strip().partition(" ")
        own = uuid.uuid4().hex
        new = {"to": to, "chatId": "terminal", "message": text, "clientMessageId": own}
        unsent[own] = {"action": "chat_message", "id": own, **new}
        await say(**unsent[own])


async def main(device: str) -> None:
    """Connect again and again, until the input ends and each line has its receipt."""
    sending = asyncio.create_task(send_lines())
    async with aiohttp.ClientSession() as session:
        while not sending.done() or unsent:
            try:
                await follow(session, device)
            except aiohttp.ClientError as error:
                print(f"no connection: {error}", file=sys.stderr)
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
