"""The browser's own WebSocket, without the console: a client that follows docs/messages.md alone."""

from typing import Any

from infra.local.stack import Stack
from tests.support.client import Person, json_of
from tests.support.sockets import url_of
from tests.support.stack import NewPerson

_CLIENT = """({ url, token }) => {
  const heard = [];
  let waiting = null;
  const settle = () => { if (waiting && heard.length) { waiting(heard.shift()); waiting = null; } };
  window.connect = () => new Promise((resolve, reject) => {
    window.socket = new WebSocket(url, ["holdfast", `token.${token}`]);
    socket.onopen = () => resolve(socket.protocol);
    socket.onerror = () => reject(new Error("refused"));
    socket.onmessage = ({ data }) => { heard.push(JSON.parse(data)); settle(); };
  });
  window.say = (frame) => socket.send(JSON.stringify(frame));
  window.next = () => new Promise((resolve) => { waiting = resolve; settle(); });
  window.leave = () => new Promise((resolve) => { socket.onclose = ({ code }) => resolve(code); socket.close(1000); });
  return connect();
}"""


def client(browser: Any, stack: Stack, person: Person) -> Any:
    """Return an empty page with a connection of *person*."""
    page = browser.new_context().new_page()
    page.set_default_timeout(30_000)
    arguments = {"url": url_of(stack.url), "token": person.client.token}
    assert page.evaluate(_CLIENT, arguments) == "holdfast"
    return page


def ask(page: Any, frame: dict[str, Any]) -> Any:
    page.evaluate("(frame) => say(frame)", frame)
    return page.evaluate("next()")


def test_stock_websocket_joins_acknowledges_sends_and_reconnects(browser: Any, stack: Stack, person: NewPerson) -> None:
    ann, bob = person(), person()
    new = {"to": bob.username, "chatId": "chat", "message": "Hello"}
    first = json_of(ann.client.post("/api/messages", new), 201)["messageId"]
    phone, desk = client(browser, stack, bob), client(browser, stack, ann)
    try:
        batch = ask(phone, {"action": "join_chat", "deviceId": "phone"})
        assert [item["messageId"] for item in batch["items"]] == [first]
        assert ask(phone, {"action": "ack", "messageIds": [first]}) == {"event": "joined", "undelivered": 0}
        assert ask(desk, {"action": "join_chat", "deviceId": "desk"}) == {"event": "joined", "undelivered": 0}
        # When a message is sent while the device is there, and another one while it is away
        receipt = ask(desk, {"action": "chat_message", **new, "clientMessageId": "1"})
        assert (receipt["event"], receipt["pushedTo"]) == ("receipt", 1)
        assert phone.evaluate("next()")["messageId"] == receipt["messageId"]
        assert phone.evaluate("leave()") == 1000
        away = ask(desk, {"action": "chat_message", **new, "clientMessageId": "2"})
        # Then the device gets after its reconnect what it has not acknowledged
        assert phone.evaluate("connect()") == "holdfast"
        batch = ask(phone, {"action": "join_chat", "deviceId": "phone"})
        assert [item["messageId"] for item in batch["items"]] == [receipt["messageId"], away["messageId"]]
        ids = [item["messageId"] for item in batch["items"]]
        assert ask(phone, {"action": "read", "messageIds": ids})["event"] == "joined"
        told = [desk.evaluate("next()") for _ in ids]
        assert {(each["messageId"], each["status"]) for each in told} == {(each, "read") for each in ids}
    finally:
        for page in (phone, desk):
            page.context.close()
