"""The ledger: one chain of entries that only grows, each sealed by the hash of all before it.

models.py  what an entry is, and its hash
store.py   where entries live: one DynamoDB table
verify.py  the walk along the chain
api.py     HTTP routes

Other slices ask `posting`; nothing else here is theirs.
"""
