"""The simulated catalogue in the specification's shape."""
