"""The simulated or given catalogue in the live service's shape."""
