"""Messages on the deployed stack: sent over HTTP and by frames, read by a join, acknowledged by any device."""

from infra.local.stack import Stack
from tests.support.client import Person, json_of
from tests.support.sockets import Socket, connect, url_of
from tests.support.stack import NewPerson


def socket_of(stack: Stack, person: Person) -> Socket:
    return connect(url_of(stack.url), "holdfast", f"token.{person.client.token}")


def test_messages_reach_a_receiver_who_is_away_and_one_who_is_there(stack: Stack, person: NewPerson) -> None:
    ann, bob = person(), person()
    new = {"to": bob.username, "chatId": "chat"}
    first = json_of(ann.client.post("/api/messages", {**new, "message": "away", "clientMessageId": "1"}), 201)
    sender, phone, tablet = socket_of(stack, ann), socket_of(stack, bob), socket_of(stack, bob)
    try:
        # Given a sender and two devices that have joined
        assert sender.ask({"action": "join_chat"}) == {"event": "joined", "undelivered": 0}
        for device in (phone, tablet):
            batch = device.ask({"action": "join_chat"})
            assert [item["messageId"] for item in batch["items"]] == [first["messageId"]]
        # When one device acknowledges
        joined = phone.ask({"action": "ack", "messageIds": [first["messageId"]], "deviceId": "phone"})
        # Then the join ends, and the sender hears of it
        assert joined == {"event": "joined", "undelivered": 0}
        receipt = sender.until("receipt")
        assert (receipt["messageId"], receipt["status"], receipt["deviceId"]) == (
            first["messageId"],
            "delivered",
            "phone",
        )
        # When the sender writes to devices that are there, Then both get it
        sender.send({"action": "chat_message", **new, "message": "there", "clientMessageId": "2"})
        receipt = sender.until("receipt")
        assert (receipt["status"], receipt["pushedTo"]) == ("buffered", 2)
        for device in (phone, tablet):
            event = device.until("chat_message")
            assert (event["messageId"], event["message"]) == (receipt["messageId"], "there")
    finally:
        for socket in (sender, phone, tablet):
            socket.close()


def test_a_backlog_with_large_messages_comes_in_batches(stack: Stack, person: NewPerson) -> None:
    ann, bob = person(), person()
    batch = [{"to": bob.username, "chatId": "chat", "message": "é" * 30_000} for _ in range(3)]
    answer = json_of(ann.client.post("/api/messages/batch", {"messages": batch}))
    wanted = [result["messageId"] for result in answer["results"]]
    device, seen = socket_of(stack, bob), []
    try:
        event = device.ask({"action": "join_chat"})
        while event["event"] == "messages":
            seen.append([item["messageId"] for item in event["items"]])
            event = device.ask({"action": "ack", "messageIds": seen[-1]})
    finally:
        device.close()
    assert seen == [[each] for each in wanted]
    assert event == {"event": "joined", "undelivered": 0}
