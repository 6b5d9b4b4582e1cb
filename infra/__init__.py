"""What brings Holdfast up: environments, packaging, deployment and the local stack."""
