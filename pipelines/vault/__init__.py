"""The member of the API key: what the service says of it, and its vault brought in line with a plan."""
