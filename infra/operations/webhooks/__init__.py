"""Shows a developer the deliveries of a webhook, and checks their signatures.

__main__.py the command line of scripts/webhooks
verdict.py  says whether a delivery is verified, and which part does not fit
listener.py the server that takes deliveries
endpoint.py makes a webhook at the running stack, and deletes it
"""
