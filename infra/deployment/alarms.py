"""The alarms of both stacks, and the topic that every alarm notifies when it goes off and when it ends.

Alarms of tables and queues are in the data template, alarms of functions and gateway in the app template.
"""

from collections.abc import Iterable
from typing import Any

from chalicelib.core.queueing.queues import Queue
from infra.deployment import templating
from infra.deployment.templating import sub

Template = dict[str, Any]

#: The age of a message at which an operator should look. A message that fails comes again for about an hour.
OLDEST_MESSAGE_SECONDS = 3_600
#: Schedules, with the time without a run that means that the schedule has stopped.
SCHEDULES = {"sweep": (300, 3), "reconcile": (3_600, 3)}
#: Async invocations of schedules that failed for good.
FAILURES = "schedule-failures"


def add_to_data(template: Template, queues: Iterable[Queue]) -> None:
    """Add the topic, the queue of failed schedules and the alarms of *queues*; let every alarm notify the topic."""
    resources = template["Resources"]
    resources["AlarmTopic"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": sub("holdfast-${Stage}-alarms")}}
    resources["AlarmSubscription"] = {
        "Type": "AWS::SNS::Subscription",
        "Condition": "Mailed",
        "Properties": {"TopicArn": {"Ref": "AlarmTopic"}, "Protocol": "email", "Endpoint": {"Ref": "AlarmEmail"}},
    }
    resources["ScheduleFailures"] = {
        "Type": "AWS::SQS::Queue",
        **templating.KEPT,
        "Properties": {
            "QueueName": sub(f"holdfast-${{Stage}}-{FAILURES}"),
            "MessageRetentionPeriod": 14 * 24 * 3600,
            "SqsManagedSseEnabled": True,
        },
    }
    resources |= {f"{templating.logical(queue.name)}AgeAlarm": _age(queue) for queue in queues}
    template["Outputs"]["AlarmTopic"] = {"Value": {"Ref": "AlarmTopic"}}
    _notify(resources)


def add_to_app(template: Template, functions: Iterable[str]) -> None:
    """Add the alarms of *functions* and gateway, which notify the topic of the data stack."""
    template["Parameters"]["AlarmTopic"] = {"Type": "String"}
    resources = template["Resources"]
    resources |= {f"{templating.logical(function)}ErrorsAlarm": _errors(function) for function in functions}
    resources |= {f"{templating.logical(name)}StoppedAlarm": _stopped(name) for name in SCHEDULES}
    resources |= {"ThrottlesAlarm": _throttles(), "ServerErrorsAlarm": _server_errors(), "PlacesAlarm": _places()}
    for name in SCHEDULES:
        properties = resources[templating.logical(name)]["Properties"]
        destination = {"Type": "SQS", "Destination": sub(f"{templating.QUEUE_ARN}{FAILURES}")}
        properties["EventInvokeConfig"] = {"DestinationConfig": {"OnFailure": destination}}
    _notify(resources)


def _notify(resources: Template) -> None:
    for resource in resources.values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            resource["Properties"] |= {"AlarmActions": [{"Ref": "AlarmTopic"}], "OKActions": [{"Ref": "AlarmTopic"}]}


def _alarm(name: str, description: str, metric: str, **more: Any) -> Template:
    """Return an alarm called ``holdfast-<stage>-name`` of *metric*, which is written ``Namespace:MetricName``."""
    namespace, _, metric = metric.partition(":")
    properties = {
        "AlarmName": sub(f"holdfast-${{Stage}}-{name}"),
        "AlarmDescription": description,
        "Namespace": namespace,
        "MetricName": metric,
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties | more}


def _of_function(function: str) -> list[Template]:
    return [{"Name": "FunctionName", "Value": sub(f"holdfast-${{Stage}}-{function}")}]


def _errors(function: str) -> Template:
    # A handler catches its errors, so an error of Lambda means a crash, a timeout or no memory.
    told = f"The function {function} crashed or ran out of time: read what {function} logs"
    return _alarm(f"{function}-errors", told, "AWS/Lambda:Errors", Dimensions=_of_function(function))


def _stopped(function: str) -> Template:
    period_seconds, periods = SCHEDULES[function]
    return _alarm(
        f"{function}-stopped",
        f"The schedule of the function {function} has stopped: look at its rule in EventBridge",
        "AWS/Lambda:Invocations",
        Dimensions=_of_function(function),
        Period=period_seconds,
        EvaluationPeriods=periods,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        # A function that does not run has no metric.
        TreatMissingData="breaching",
    )


def _throttles() -> Template:
    told = "Lambda refuses to run functions: the account's concurrency is used up, perhaps by others"
    # No dimension: the concurrency is the account's, and any function may be the one that is refused.
    return _alarm("throttles", told, "AWS/Lambda:Throttles", Period=60, EvaluationPeriods=3)


def _server_errors() -> Template:
    return _alarm(
        "server-errors",
        "Over one call in a hundred is answered with a 5xx: GET /ready names a store that is down",
        "AWS/ApiGateway:5XXError",
        Dimensions=[{"Name": "ApiName", "Value": sub("holdfast-${Stage}")}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=5,
        DatapointsToAlarm=3,
        Threshold=0.01,
    )


def _places() -> Template:
    service = [{"Name": "service", "Value": "holdfast"}, {"Name": "stage", "Value": {"Ref": "Stage"}}]
    told = "Callers who wait find no place: raise WAITING_PLACES, within the account's concurrency"
    return _alarm("places", told, "Holdfast:placesRefused", Dimensions=service)


def _age(queue: Queue) -> Template:
    return _alarm(
        f"{queue.name}-age",
        f"A message of the queue {queue.name} is an hour old: read what the function {queue.name} logs",
        "AWS/SQS:ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": sub(f"holdfast-${{Stage}}-{queue.name}")}],
        Statistic="Maximum",
        Threshold=OLDEST_MESSAGE_SECONDS,
    )
