"""Activation: makes users of a list of leads, and mails each a link that sets the first password.

models.py     lists of leads, chunks and leads with their outcomes, and their shapes over HTTP (no I/O)
errors.py     errors shown to callers
address.py    whether a lead's address can be a username
settings.py   options of activation and of mail
queues.py     the queues, whose messages say that there is work
store.py      activations, and their chunks of leads that wait
ledger.py     leads with their outcomes: each transaction moves outcomes and counters together
mails.py      mails of leads: asked at most once each
begin.py      begins activations, also of failed leads
letter.py     the text of a mail, in two forms
service.py    the mail service (SES)
work.py       makes the users of chunks, of all activations in turn
completion.py tells webhooks of completed activations
post.py       sends the mails of leads, of all activations in turn
worker.py     the queues' functions, and the sweep
wiring.py     makes the stores, once per process
api.py        HTTP routes
slice.py      the declaration of the slice

Other slices import nothing from here.
"""
