"""The promises of docs/api.md, each shown on the deployed stack."""
