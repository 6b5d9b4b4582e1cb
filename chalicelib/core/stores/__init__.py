"""DynamoDB and MongoDB as this service uses them.

clients.py       one client of each store per process; no other module makes a client
binding.py       the database of this deployment, and the mark that binds both
attributes.py    converts plain values to DynamoDB attributes and back
parsing.py       reads answers of DynamoDB without a walk through each value
dynamodb.py      items in and out of DynamoDB, conditional writes, retries
dates.py         DynamoDB's time, from the dates of its answers
newest.py        the order of lists that show the newest first
sorted.py        items of a table with a sort key, in order
round_trips.py   counts MongoDB commands
breaker.py       refuses calls of a store that was down a moment ago
driver_errors.py translates driver exceptions: an unreachable store becomes `Unavailable`
"""
