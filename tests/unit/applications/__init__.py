"""Tests of `chalicelib/applications`, on a real mongod, with moto in the place of DynamoDB."""
