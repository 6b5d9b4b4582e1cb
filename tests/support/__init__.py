"""What tests stand on: the deployed stack, callers, servers that misbehave, and waiting on conditions."""
