"""The simulated catalogue as the specification shows it."""
