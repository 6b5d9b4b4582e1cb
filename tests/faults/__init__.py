"""What happens when processes die and stores go away, on the deployed stack."""
