"""Tests of `chalicelib/ledger`, with moto in the place of DynamoDB."""
