"""DynamoDB and MongoDB as this service uses them.

clients.py       one client of each store; nothing else makes one
attributes.py    plain values as DynamoDB's, and back
dynamodb.py      conditional writes, and items in and out of DynamoDB
round_trips.py   counts what is asked of MongoDB
driver_errors.py translates driver exceptions: an unreachable store becomes `Unavailable`
"""
