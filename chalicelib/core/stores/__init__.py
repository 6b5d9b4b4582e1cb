"""DynamoDB and MongoDB as this service uses them.

attributes.py    plain values as DynamoDB's, and back
dynamodb.py      conditional writes, and items in and out of DynamoDB
driver_errors.py translates driver exceptions: an unreachable store becomes `Unavailable`
"""
