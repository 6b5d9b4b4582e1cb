"""The ledger, with moto in the place of DynamoDB."""
