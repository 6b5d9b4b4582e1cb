"""The mail service, SES: one request for each mail, and no repeats."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from chalicelib.activation.letter import SUBJECT, Rendered
from chalicelib.activation.settings import MailSettings
from chalicelib.core.errors import Unavailable

#: The longest wait for an answer of the service.
ANSWER_SECONDS = 15.0
_SERVER_ERROR = 500


class Refused(Exception):
    """The mail service did not take the mail; the text is the service's error code."""


class Uncertain(Exception):
    """Nobody knows whether the mail service took the mail."""


class MailService:
    """Sends mails. *client* makes one request for each call."""

    def __init__(self, client: Any, settings: MailSettings) -> None:
        self._client, self._settings = client, settings

    def send(self, to: str, mail: Rendered) -> str:
        """Ask the service once to send *mail*; return the service's id of the mail.

        Raises:
            Unavailable: no connection was made, so the service was not asked.
            Refused: the service answered that it did not take the mail.
            Uncertain: an answer was lost, or tells nothing.
        """
        events = self._settings.configuration_set
        try:
            answer = self._client.send_email(
                Source=self._settings.sender,
                Destination={"ToAddresses": [to]},
                Message={
                    "Subject": {"Data": SUBJECT, "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": mail.text, "Charset": "UTF-8"},
                        "Html": {"Data": mail.html, "Charset": "UTF-8"},
                    },
                },
                **({"ConfigurationSetName": events} if events else {}),
            )
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise Unavailable("The mail service cannot be reached just now.") from error
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_ERROR:
                raise Uncertain from error
            raise Refused(error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise Uncertain from error
        return str(answer["MessageId"])
