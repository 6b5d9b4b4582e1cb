"""Applications, on a real database and with moto in the place of DynamoDB."""
