"""Webhooks, on a real MongoDB, with moto in the place of AWS."""
