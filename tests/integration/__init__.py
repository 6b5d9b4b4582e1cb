"""Everything about processes, races and permissions, on the deployed stack."""
