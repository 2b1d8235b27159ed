"""The simulated or given catalogue as the live service shows it."""
